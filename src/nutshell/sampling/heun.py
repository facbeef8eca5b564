"""Heun's method (Karras et al. 2022, algorithm 1, without churn)."""

from __future__ import annotations

from collections.abc import Iterator

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule
from nutshell.sampling.step import Array, Blend, Predict, SampleStep, keep, split


def heun(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep
) -> Iterator[SampleStep]:
    """Second order: go by the mean of the slopes at both ends of a step. Two network calls, at the last step one.

    The trial latent at the far end is blended too, so that the second call sees what the next step will see.
    """
    prediction = schedule.diffusion.prediction
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        denoised, slope = split(predict(latent, here.timestep), latent, here, prediction)
        end = there.mix(denoised, slope)
        if there.ratio > 0.0:
            trial = blend(end, index)
            _, far_slope = split(predict(trial, there.timestep), trial, there, prediction)
            start = denoised + here.ratio * slope
            end = there.alpha * (start + (there.ratio - here.ratio) / 2 * (slope + far_slope))
        latent = blend(end, index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)
