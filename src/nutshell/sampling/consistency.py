"""Samplers for networks distilled to a few steps: LCM and TCD.

Luo et al. 2023, "Latent Consistency Models"; Zheng et al. 2024, "Trajectory Consistency Distillation".
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule, level_at
from nutshell.sampling.step import Array, Blend, Predict, SampleStep, keep, split

# The spread of the data that LCM's boundary condition assumes (Luo et al. 2023, appendix; Karras et al. 2022).
_DATA_SIGMA = 0.5


def lcm(predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep) -> Iterator[SampleStep]:
    """Guess the clean latent, noise it afresh to the next level, and so on (algorithm 1 of the paper)."""
    diffusion = schedule.diffusion
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        clean, _ = split(predict(latent, here.timestep), latent, here, diffusion.prediction)
        time = here.timestep * diffusion.timestep_scaling
        skip = _DATA_SIGMA**2 / (time**2 + _DATA_SIGMA**2)
        denoised = time / math.hypot(time, _DATA_SIGMA) * clean + skip * latent
        last = index == schedule.steps - 1
        latent = denoised if last else there.mix(denoised, noise.normal(latent.shape))
        latent = blend(latent, index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)


def tcd(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep, eta: float = 0.3
) -> Iterator[SampleStep]:
    """Strategic stochastic sampling: jump past the next level to a cleaner one, then add noise back up to it.

    `eta` is the paper's gamma: 0 takes no fresh noise, 1 jumps all the way down, as LCM does.
    The last step ends at timestep 0, which is not quite clean; so the method has it.
    """
    diffusion = schedule.diffusion
    for index, here in enumerate(schedule.levels):
        last = index == schedule.steps - 1
        there = level_at(diffusion, 0) if last else schedule.levels[index + 1]
        # In float32, as torch multiplies, for the floor may hang on the last bit.
        below = level_at(diffusion, int(np.floor(np.float32(1.0 - eta) * np.float32(there.timestep))))
        denoised, implied = split(predict(latent, here.timestep), latent, here, diffusion.prediction)
        latent = below.mix(denoised, implied)
        if eta > 0.0 and not last:
            kept = there.alpha / below.alpha
            latent = kept * latent + math.sqrt(max(1.0 - kept**2, 0.0)) * noise.normal(latent.shape)
        latent = blend(latent, index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)
