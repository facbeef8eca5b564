"""A request in which nothing is open any more, and the networks that it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nutshell.language import Text, tr
from nutshell.networks import autoencoder_kl, autoencoder_tiny, unet
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig, text_encoder
from nutshell.networks.ops import Network
from nutshell.networks.unet import WHOLE, Thrift
from nutshell.networks.unet_config import UNetConfig
from nutshell.pipeline.condition import Prompts
from nutshell.pipeline.facts import AutoencoderConfig, Facts
from nutshell.pipeline.request import Request
from nutshell.pipeline.savings import Savings, settle_savings
from nutshell.sampling import Run, start
from nutshell.tokens import Tokenizer


@dataclass(frozen=True)
class Order:
    """A request in which nothing is open any more. without_effect: sentences about `savings`."""

    request: Request
    width: int
    height: int
    guidance: float
    seed: int
    run: Run
    prompts: Prompts
    savings: Savings
    without_effect: tuple[Text, ...] = ()

    @property
    def strength(self) -> float:
        """How much of the source picture is redrawn; 1 where there is none."""
        return self.request.strength if self.request.image is not None else 1.0

    @property
    def guided(self) -> bool:
        """Whether each step takes a second pass without the prompt."""
        return self.prompts.negative is not None

    def after(self, pictures: int) -> Order:
        """What is left when so many are done; one at least."""
        return replace(
            self, request=replace(self.request, count=self.request.count - pictures), seed=self.seed + pictures
        )

    @property
    def notices(self) -> tuple[Text, ...]:
        """What the user should know: sentences about wishes that have no effect."""
        if not self.request.negative_prompt or self.guided:
            return self.without_effect
        if self.guidance == 1.0:
            why = tr("the negative prompt has no effect: it needs guidance above 1, and guidance is 1 (off)")
        else:
            why = tr("the negative prompt has no effect: this model takes guidance in without a second pass")
        return (why, *self.without_effect)


def place_order(request: Request, facts: Facts, tokenizer: Tokenizer, width: int, height: int, seed: int) -> Order:
    """Settle sampler, schedule, steps and guidance. Raises UsageError for what does not go together."""
    given = facts.defaults
    guidance = given.guidance if request.guidance is None else request.guidance
    # Models distilled with guidance take its strength as an input and need no second pass.
    needs_negative = guidance != 1.0 and not facts.unet.guidance_width
    named = request.sampler is not None
    run = start(
        request.sampler or given.sampler,
        facts.diffusion,
        steps=request.steps or given.steps,
        spacing=request.spacing or (None if named else given.spacing),
        curve=request.schedule or (None if named else given.schedule),
        strength=request.strength if request.image is not None else 1.0,
        eta=request.eta,
    )
    prompts = Prompts.of(tokenizer, request.prompt, request.negative_prompt, needs_negative)
    cells = (height // facts.vae.scale) * (width // facts.vae.scale)
    savings, without_effect = settle_savings(request, facts.unet, cells, run.steps, needs_negative)
    return Order(request, width, height, guidance, seed, run, prompts, savings, without_effect)


def networks(order: Order, facts: Facts) -> dict[str, Network]:
    """Every network that the order needs, by part, at its sizes."""
    return sized_networks(
        facts.text,
        facts.unet,
        facts.vae,
        order.width,
        order.height,
        order.prompts.positive.ids.size,
        order.request.clip_skip,
        source=order.request.image is not None,
        thrift=order.savings.thrift,
    )


def sized_networks(
    text: ClipTextConfig,
    denoiser: UNetConfig,
    vae: AutoencoderConfig,
    width: int,
    height: int,
    length: int,
    clip_skip: int = 0,
    source: bool = False,
    thrift: Thrift = WHOLE,
) -> dict[str, Network]:
    """The networks of a picture of `width` x `height` pixels, by part, in running order.

    length: of the condition in tokens. source: whether a picture is started from. thrift: what the denoiser leaves
    out; where features are reused, its outermost layers are a network beside it.
    """
    rows, columns = height // vae.scale, width // vae.scale
    autoencoder: Any = autoencoder_tiny if isinstance(vae, AutoencoderTinyConfig) else autoencoder_kl
    outer = {}
    if thrift.outer:
        outer["unet_outer"] = unet.outer_denoiser(denoiser, rows, columns, length, thrift=thrift)
    needed = {
        "text_encoder": text_encoder(text, clip_skip=clip_skip),
        "unet": unet.denoiser(denoiser, rows, columns, length, thrift=thrift),
        **outer,
        "vae_decoder": autoencoder.decoder(vae, rows, columns),
    }
    if source:
        needed["vae_encoder"] = autoencoder.encoder(vae, height, width)
    return needed
