"""What a sampler is given and what it yields.

One scale is used everywhere: the variance-preserving one that networks see, where a latent is
`alpha * clean + sigma * noise` with `alpha**2 + sigma**2 == 1`. The scale of k-diffusion (and of the papers
around it) is `latent / alpha`, its noise level `sigma / alpha`. So any two samplers' latents compare, and one
inpainting blend serves all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

# (latent, timestep) -> the network's output for it, guidance applied. Both (batch, channels, height, width).
Predict = Callable[[Array, float], Array]

# (latent after step `index`, index) -> the latent to go on with.
Blend = Callable[[Array, int], Array]


@dataclass(frozen=True)
class Level:
    """One level of noise: the timestep that the network is told, and the shares of clean latent and noise."""

    timestep: float
    alpha: float
    sigma: float

    @property
    def ratio(self) -> float:
        """Noise to signal, the `sigma` of k-diffusion: infinite where there is no signal."""
        return self.sigma / self.alpha if self.alpha else math.inf

    def mix(self, clean: Array, noise: Array) -> Array:
        """Return `clean` noised to this level."""
        return self.alpha * clean + self.sigma * noise


CLEAN = Level(timestep=0.0, alpha=1.0, sigma=0.0)


@dataclass(frozen=True)
class SampleStep:
    """One step done.

    index: from 0; total: how many steps this run has.
    timestep: what the network was told, 0 to 999 for Stable Diffusion.
    latent: after the step (and the blend), in the variance-preserving scale; at the last step, the result.
    denoised: the clean latent as guessed in this step, for previews.
    """

    index: int
    total: int
    timestep: float
    latent: Array
    denoised: Array


def keep(latent: Array, index: int) -> Array:
    """Blend nothing."""
    return latent


def split(output: Array, latent: Array, level: Level, prediction: str) -> tuple[Array, Array]:
    """Return (clean latent, unit noise) that the network's `output` for `latent` at `level` stands for.

    v is that of Salimans and Ho 2022, appendix D: v = alpha * noise - sigma * clean.
    """
    if prediction == "epsilon":
        return (latent - level.sigma * output) / level.alpha, output
    if prediction == "v_prediction":
        return level.alpha * latent - level.sigma * output, level.alpha * output + level.sigma * latent
    return output, (latent - level.alpha * output) / level.sigma
