"""The noise levels of Euler's method as a program without diffusers reckons them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_TRAIN_STEPS, _FIRST_BETA, _LAST_BETA = 1000, 0.00085, 0.012


def euler_levels(steps: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """(timesteps, sigmas with a 0 at the end) of Stable Diffusion's noise levels, "leading" with an offset of 1."""
    betas = np.linspace(_FIRST_BETA**0.5, _LAST_BETA**0.5, _TRAIN_STEPS) ** 2
    kept = np.cumprod(1 - betas)
    timesteps = (np.arange(steps) * (_TRAIN_STEPS // steps))[::-1] + 1
    sigmas = np.sqrt((1 - kept) / kept)[timesteps]
    return timesteps, np.append(sigmas, 0.0)
