"""The way of the data: tokens, condition, denoising loop, decoder, picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nutshell.networks.ops import Network
from nutshell.pipeline.denoise import Watch, denoise
from nutshell.pipeline.facts import Facts
from nutshell.pipeline.order import Order, networks
from nutshell.pipeline.picture import OnStep
from nutshell.pipeline.pixels import keep_outside, mask_array, to_image
from nutshell.pipeline.preview import TinyPreview
from nutshell.pipeline.reuse import Denoiser
from nutshell.pipeline.stages import Stages
from nutshell.pipeline.start_latent import read_source, start_latent
from nutshell.plan import Plan
from nutshell.sampling import NoiseStream
from nutshell.weights import Weights

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Kit:
    """What drawing works with. extra: vectors of textual inversions, (n, text width).

    preview: None for the linear one.
    """

    facts: Facts
    stages: Stages
    text_weights: Weights
    extra: F32 | None = None
    preview: TinyPreview | None = None


def draw(order: Order, plan: Plan, kit: Kit, on_step: OnStep | None) -> Iterator[tuple[int, Image.Image]]:
    """Yield (seed, picture) for each picture of the order."""
    facts, stages, needed = kit.facts, kit.stages, networks(order, kit.facts)
    for part, network in needed.items():
        if part != "text_encoder":
            stages.ahead(network, plan)
    with stages.open(needed["text_encoder"], plan) as encode:
        condition = order.prompts.encode(encode, kit.text_weights, facts.text, kit.extra)
    source = None
    if "vae_encoder" in needed:
        with stages.open(needed["vae_encoder"], plan) as see:
            source = read_source(order.request, facts, lambda pixels: see(picture=pixels), order.width, order.height)
    watch = Watch(order, facts, on_step, kit.preview)
    shape = (1, facts.vae.latent_channels, *needed["unet"].inputs["latent"].shape[2:])
    for places in _rounds(order, plan):
        latents = []
        with _denoiser(stages, needed, plan, order) as predict:
            for place in places:
                noise = NoiseStream(order.seed + place)
                start = start_latent(source, facts, noise, order.strength, shape)
                latents.append(denoise(predict, order, facts, condition, start, noise, watch.picture(place)))
        with stages.open(needed["vae_decoder"], plan) as decode:
            for place, latent in zip(places, latents, strict=True):
                pixels = decode(
                    latent=latent / np.float32(facts.vae.scaling_factor) + np.float32(facts.vae.shift_factor)
                )
                yield order.seed + place, _finished(to_image(pixels), order)


@contextmanager
def _denoiser(stages: Stages, needed: Mapping[str, Network], plan: Plan, order: Order) -> Iterator[Denoiser]:
    """The denoiser, and beside it its outermost layers where features are reused."""
    with ExitStack() as opened:
        whole = opened.enter_context(stages.open(needed["unet"], plan))
        outer = opened.enter_context(stages.open(needed["unet_outer"], plan)) if "unet_outer" in needed else None
        yield Denoiser(whole, outer, order.savings.reuse)


def _rounds(order: Order, plan: Plan) -> Sequence[Sequence[int]]:
    """Pictures one by one where both stages stay loaded; else all latents first, so each loads once."""
    every = range(order.request.count)
    return [every] if plan.staged else [[place] for place in every]


def _finished(image: Image.Image, order: Order) -> Image.Image:
    """The picture; where a mask was given, its unpainted part is the original's, to the pixel."""
    request = order.request
    if request.image is None or request.mask is None or request.mask_blur < 0:
        return image
    mask = mask_array(request.mask, order.width, order.height)
    return keep_outside(image, request.image, mask, request.mask_blur)
