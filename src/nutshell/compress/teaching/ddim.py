"""DDIM (Song et al. 2020, arXiv:2010.02502, eq. 12 without noise) in PyTorch, whole batches at once.

What the samplers of Nutshell and diffusers do with "trailing" timesteps.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Tensor]
"""What a denoiser predicts for noisy latents (n, c, h, w) at steps (n,)."""


def trailing_steps(count: int, trained: int = 1000) -> list[int]:
    """The steps of a run of `count`, from the noisiest: 999, 949, ... for 20."""
    return [round(trained - number * trained / count) - 1 for number in range(count)]


def alphas_between(count: int, alphas: Tensor) -> list[tuple[float, float]]:
    """Cumulative products before and after each step of a run; the last one ends at that of step 0."""
    values = [float(alphas[step]) for step in trailing_steps(count, len(alphas))] + [float(alphas[0])]
    return list(pairwise(values))


def turn(alpha: float, after: float, prediction: str = "v_prediction") -> tuple[float, float]:
    """Factors (a, b) of one step: the next latent is a * latent + b * what was predicted."""
    kept, noise, kept_after, noise_after = alpha**0.5, (1 - alpha) ** 0.5, after**0.5, (1 - after) ** 0.5
    if prediction == "epsilon":
        return kept_after / kept, noise_after - kept_after * noise / kept
    if prediction == "sample":
        return noise_after / noise, kept_after - noise_after * kept / noise
    return kept_after * kept + noise_after * noise, noise_after * kept - kept_after * noise


def guided(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor], condition: Tensor, empty: Tensor, guidance: float
) -> Predict:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598): both predictions in one batch.

    `predict` takes latents, steps and a condition (n, tokens, width); `empty` is that of "" (1, tokens, width).
    """
    both = torch.cat([empty.expand_as(condition), condition])

    def predict_v(latents: Tensor, steps: Tensor) -> Tensor:
        without, told = predict(torch.cat([latents] * 2), torch.cat([steps] * 2), both).float().chunk(2)
        return without + guidance * (told - without)

    return predict_v


def trajectory(
    predict: Predict, start: Tensor, alphas: Tensor, count: int, keep_every: int = 1, prediction: str = "v_prediction"
) -> Tensor:
    """A run from noise `start` (n, c, h, w): that and every `keep_every`-th latent, (n, 1 + kept, c, h, w)."""
    kept, latents = [start], start
    pairs = alphas_between(count, alphas)
    for number, (step, (before, after)) in enumerate(zip(trailing_steps(count, len(alphas)), pairs, strict=True)):
        steps = torch.full((len(start),), step, device=start.device)
        a, b = turn(before, after, prediction)
        latents = a * latents + b * predict(latents, steps).float()
        if (number + 1) % keep_every == 0:
            kept.append(latents)
    return torch.stack(kept, dim=1)
