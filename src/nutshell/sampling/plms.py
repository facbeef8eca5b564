"""PLMS, diffusers' `PNDMScheduler` as Stable Diffusion 1.x sets it (Liu et al. 2022, "Pseudo Numerical Methods for
Diffusion Models on Manifolds", equations 11 and 12).

A DDIM step along an extrapolation of the last four outputs, by Adams and Bashforth's weights for even steps.
"""

from __future__ import annotations

from collections.abc import Iterator

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule, level_at
from nutshell.sampling.step import Array, Blend, Predict, SampleStep, keep, split

# By how many outputs are known, newest first.
_WEIGHTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def plms(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep
) -> Iterator[SampleStep]:
    """Multistep with even weights; the first step takes two calls, as Heun's method (`noise` is not used)."""
    prediction = schedule.diffusion.prediction
    outputs: list[Array] = []  # newest first
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        output = predict(latent, here.timestep)
        outputs = [output, *outputs][: len(_WEIGHTS)]
        if index == 0 and schedule.steps > 1:
            following = schedule.levels[1]
            trial = blend(there.mix(*split(output, latent, here, prediction)), index)
            output = (output + predict(trial, following.timestep)) / 2
            # Where spacing and stride differ (never with "leading"), diffusers counts the second try backwards.
            stride = here.timestep - there.timestep
            here, there = level_at(schedule.diffusion, int(following.timestep + stride)), following
        else:
            output = _weighted(outputs)
        denoised, implied = split(output, latent, here, prediction)
        latent = blend(there.mix(denoised, implied), index)
        yield SampleStep(index, schedule.steps, schedule.levels[index].timestep, latent, denoised)


def _weighted(outputs: list[Array]) -> Array:
    weights = _WEIGHTS[len(outputs) - 1]
    total = weights[0] * outputs[0]
    for weight, output in zip(weights[1:], outputs[1:], strict=True):
        total = total + weight * output
    return total
