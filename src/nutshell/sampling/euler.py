"""Euler's method, plain and ancestral (Karras et al. 2022, algorithm 1; k-diffusion's `sample_euler_ancestral`).

In the ratio scale, `clean + ratio * noise`, a step of Euler's method on the probability-flow equation keeps the
implied clean latent and noise, and changes the ratio. So it is DDIM without fresh noise, on levels that may
lie between the trained ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule
from nutshell.sampling.step import Array, Blend, Predict, SampleStep, keep, split


def euler(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep
) -> Iterator[SampleStep]:
    """First order, no fresh noise (`noise` is not used)."""
    prediction = schedule.diffusion.prediction
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        denoised, implied = split(predict(latent, here.timestep), latent, here, prediction)
        latent = blend(there.mix(denoised, implied), index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)


def euler_ancestral(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep
) -> Iterator[SampleStep]:
    """Step below the target and add fresh noise up to it.

    Noise is drawn at the last step too, where its share is zero: diffusers does, and a caller may use the stream on.
    """
    prediction = schedule.diffusion.prediction
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        denoised, implied = split(predict(latent, here.timestep), latent, here, prediction)
        fall = (there.ratio / here.ratio) ** 2
        up = there.ratio * math.sqrt(max(1.0 - fall, 0.0))
        down = there.ratio * math.sqrt(fall)
        latent = there.alpha * (denoised + down * implied + up * noise.normal(latent.shape))
        latent = blend(latent, index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)
