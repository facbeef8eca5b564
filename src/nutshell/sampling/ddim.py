"""DDIM (Song et al. 2021, "Denoising Diffusion Implicit Models", equations 12 and 16)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule
from nutshell.sampling.step import Array, Blend, Predict, SampleStep, keep, split


def ddim(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep, eta: float = 0.0
) -> Iterator[SampleStep]:
    """Go to each target along the implied noise. `eta`: share of fresh noise, 0 (none) to 1 (as DDPM)."""
    prediction = schedule.diffusion.prediction
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        output = predict(latent, here.timestep)
        denoised, implied = split(output, latent, here, prediction)
        # (there.sigma / here.sigma)**2 * (1 - here.alpha**2 / there.alpha**2), equation 16 squared.
        variance = (there.sigma / here.sigma) ** 2 * (1.0 - (here.alpha / there.alpha) ** 2)
        fresh = eta * math.sqrt(max(variance, 0.0))
        kept = math.sqrt(max(there.sigma**2 - fresh**2, 0.0))
        latent = there.alpha * denoised + kept * implied
        if eta > 0.0:
            latent = latent + fresh * noise.normal(latent.shape)
        latent = blend(latent, index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)
