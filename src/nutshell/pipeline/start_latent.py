"""What a run starts from: noise, or a picture's latent under noise, and what a mask adds to it.

The order in which noise is drawn is that of diffusers' pipelines (picture sampled, start noise, masked
picture sampled), so that a seed gives the same picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.pipeline.facts import Facts
from nutshell.pipeline.pixels import mask_array, picture_array, shrunk
from nutshell.pipeline.request import Request
from nutshell.sampling import NoiseStream

F32 = npt.NDArray[np.float32]
Encode = Callable[[F32], F32]


@dataclass(frozen=True)
class Start:
    """noise: unit Gaussian. image: latent to start from, None for pure noise.

    keep: latent to keep outside `mask` (1 where to paint); extra: channels that an inpainting denoiser
    sees beside its latent.
    """

    noise: F32
    image: F32 | None = None
    keep: F32 | None = None
    mask: F32 | None = None
    extra: F32 | None = None


@dataclass(frozen=True)
class Source:
    """The request's picture and mask as the autoencoder saw them, before any noise is drawn.

    moments: what the encoder gave for the picture; masked: for the picture with its masked part grey.
    """

    moments: F32
    masked: F32 | None = None
    mask: F32 | None = None


def read_source(request: Request, facts: Facts, encode: Encode, width: int, height: int) -> Source | None:
    """Encode the request's picture, if it has one."""
    if request.image is None:
        return None
    pixels = picture_array(request.image, width, height)
    if request.mask is None:
        return Source(encode(pixels))
    mask = mask_array(request.mask, width, height)
    masked = encode(pixels * (mask < 0.5)) if facts.inpainting else None
    return Source(encode(pixels), masked, shrunk(mask, facts.vae.scale))


def start_latent(
    source: Source | None, facts: Facts, noise: NoiseStream, strength: float, shape: tuple[int, ...]
) -> Start:
    """Draw what one picture starts from. `shape`: of its latent."""
    if source is None:
        start = noise.normal(shape)
        if facts.inpainting:
            # Nothing is given, so all of it is to be painted, over grey.
            return Start(start, extra=np.concatenate([np.ones_like(start[:, :1]), np.zeros_like(start)], axis=1))
        return Start(start)
    if source.mask is None:
        image = sample_latent(source.moments, facts, noise)
        return Start(noise.normal(shape), image=image)
    whole = strength == 1.0
    keep = None if facts.inpainting and whole else sample_latent(source.moments, facts, noise)
    begin = noise.normal(shape)
    first = None if whole else keep
    if source.masked is None:
        return Start(begin, first, keep, source.mask)
    masked = sample_latent(source.masked, facts, noise)
    return Start(begin, first, extra=np.concatenate([source.mask, masked], axis=1))


def sample_latent(moments: F32, facts: Facts, noise: NoiseStream) -> F32:
    """A standardized latent, drawn from what the encoder gave: mean and log-variance (Kingma and Welling 2014)."""
    if isinstance(facts.vae, AutoencoderTinyConfig):
        latent = moments  # The tiny encoder gives the latent itself.
    else:
        mean, log_variance = np.split(moments, 2, axis=1)
        deviation = np.exp(0.5 * np.clip(log_variance, -30.0, 20.0))
        latent = mean + deviation * noise.normal(mean.shape)
    return np.asarray((latent - facts.vae.shift_factor) * facts.vae.scaling_factor, np.float32)
