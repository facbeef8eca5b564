"""UniPC: a predictor and a corrector that costs no network call (Zhao et al. 2023, algorithms 5 to 8, B2).

Both go from level s to level t by

    x_t = sigma_t / sigma_s * x_s - alpha_t * e * m_s - alpha_t * e * sum(weight_k * (m_k - m_s) / r_k)

where m are guessed clean latents, h the step in half log-SNR, e = exp(-h) - 1 and r_k the place of guess k in
steps from s. The predictor knows earlier guesses (r < 0), the corrector the guess at t too (r = 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nutshell.sampling.noise import Noise
from nutshell.sampling.schedule import Schedule
from nutshell.sampling.step import Array, Blend, Level, Predict, SampleStep, keep, split

Guess = tuple[Level, Array]


def unipc(
    predict: Predict, latent: Array, schedule: Schedule, noise: Noise, blend: Blend = keep, order: int = 2
) -> Iterator[SampleStep]:
    """Multistep UniPC of `order` (2 suits guided sampling, by the paper); lower at both ends (`noise` is not used)."""
    prediction = schedule.diffusion.prediction
    guesses: list[Guess] = []  # newest first
    start = latent  # the last step's corrected latent
    last_order = 0
    for index, (here, there) in enumerate(zip(schedule.levels, schedule.targets, strict=True)):
        denoised, _ = split(predict(latent, here.timestep), latent, here, prediction)
        if guesses:
            latent = _move(start, guesses[0], here, [*guesses[1:last_order], (here, denoised)])
        guesses = [(here, denoised), *guesses][:order]
        last_order = min(len(guesses), schedule.steps - index)
        start = latent
        latent = blend(_move(start, guesses[0], there, guesses[1:last_order]), index)
        yield SampleStep(index, schedule.steps, here.timestep, latent, denoised)


def _move(latent: Array, base: Guess, there: Level, others: Sequence[Guess]) -> Array:
    """Take the step from `base` to `there`, bent by the `others`."""
    here, denoised = base
    growth = there.ratio / here.ratio - 1.0
    bent = denoised
    if others:
        step = math.log(here.ratio / there.ratio)
        places = [math.log(here.ratio / level.ratio) / step for level, _ in others]
        for weight, place, (_, guess) in zip(_weights(places, step), places, others, strict=True):
            bent = bent + weight / place * (guess - denoised)
    return there.sigma / here.sigma * latent - there.alpha * growth * bent


def _weights(places: Sequence[float], step: float) -> list[float]:
    """Solve equation 10 of the paper for the weights, B(h) = exp(h) - 1, in the form for clean-latent guesses.

    With one unknown the paper takes 1/2, which is within its order and needs no solving.
    """
    if len(places) == 1:
        return [0.5]
    size = len(places)
    growth = math.expm1(-step)
    phi = growth / -step - 1.0
    factorial = 1.0
    right = []
    for power in range(1, size + 1):
        right.append(phi * factorial / growth)
        factorial *= power + 1
        phi = phi / -step - 1.0 / factorial
    matrix = np.vander(np.array(places), size, increasing=True).T
    solved: list[float] = np.linalg.solve(matrix, np.array(right)).tolist()
    return solved
