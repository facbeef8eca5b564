"""DPM-Solver++ of second order, multistep: 2M and its stochastic form (Lu et al. 2022, "DPM-Solver++").

h = log(here.ratio / there.ratio) is the paper's step in half log-SNR (lambda). It enters as exp(-h), the plain
quotient of ratios, so that the last step, where h is infinite, needs no special case.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule
from nutshell.sampling.step import Array, Blend, Level, Predict, SampleStep, keep, split


def dpmpp_2m(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep
) -> Iterator[SampleStep]:
    """Algorithm 2 of the paper; first order at the first step and the last (`noise` is not used)."""
    prediction = schedule.diffusion.prediction
    before: tuple[Level, Array] | None = None
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        denoised, _ = split(predict(latent, here.timestep), latent, here, prediction)
        shrink = there.ratio / here.ratio
        ahead = extrapolated(denoised, before, here, there)
        latent = blend(there.sigma / here.sigma * latent + there.alpha * (1.0 - shrink) * ahead, index)
        before = (here, denoised)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)


def dpmpp_2m_sde(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep
) -> Iterator[SampleStep]:
    """The stochastic form, SDE-DPM-Solver++ 2M (Lu et al. 2022, section 5), midpoint; noise drawn at every step."""
    prediction = schedule.diffusion.prediction
    before: tuple[Level, Array] | None = None
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        denoised, _ = split(predict(latent, here.timestep), latent, here, prediction)
        shrink = there.ratio / here.ratio
        new = 1.0 - shrink**2
        ahead = extrapolated(denoised, before, here, there)
        latent = there.sigma / here.sigma * shrink * latent + there.alpha * new * ahead
        latent = latent + there.sigma * math.sqrt(new) * noise.normal(latent.shape)
        latent = blend(latent, index)
        before = (here, denoised)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)


def extrapolated(denoised: Array, before: tuple[Level, Array] | None, here: Level, there: Level) -> Array:
    """Return the clean latent expected halfway through the step, along the line through this guess and the last."""
    if before is None or there.ratio == 0.0:
        return denoised
    level_before, denoised_before = before
    last_step = math.log(level_before.ratio / here.ratio)
    this_step = math.log(here.ratio / there.ratio)
    return denoised + 0.5 * this_step / last_step * (denoised - denoised_before)
