"""Linear multistep (Adams-Bashforth with uneven steps; k-diffusion's `sample_lms`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule
from nutshell.sampling.step import Array, Blend, Predict, SampleStep, keep, split


def lms(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep, order: int = 4
) -> Iterator[SampleStep]:
    """Integrate the polynomial through the last `order` (at most 4) slopes; fewer while fewer are known."""
    prediction = schedule.diffusion.prediction
    slopes: list[Array] = []  # newest first
    ratios: list[float] = []
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        denoised, slope = split(predict(latent, here.timestep), latent, here, prediction)
        slopes = [slope, *slopes][:order]
        ratios = [here.ratio, *ratios][:order]
        end = denoised + here.ratio * slope
        for coefficient, known_slope in zip(coefficients(ratios, there.ratio), slopes, strict=True):
            end = end + coefficient * known_slope
        latent = blend(there.alpha * end, index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)


def coefficients(nodes: Sequence[float], end: float) -> list[float]:
    """Integrate each Lagrange basis polynomial over `nodes` (newest first) from the first node to `end`.

    Gauss-Legendre with two points is exact up to the third degree, so up to four nodes.
    """
    points, weights = np.polynomial.legendre.leggauss(2)
    half = (end - nodes[0]) / 2
    places = nodes[0] + half * (points + 1)
    integrals = []
    for node in nodes:
        basis = np.ones_like(places)
        for other in nodes:
            if other != node:
                basis *= (places - other) / (node - other)
        integrals.append(float(half * (weights @ basis)))
    return integrals
