"""Noise, and what a denoiser is to make of it.

A denoiser predicts v (Salimans and Ho 2022, arXiv:2202.00512), the noise, or the clean latent. Of one that predicts v
the loss on the clean latent is weighted by min(SNR + 1, cap) (after min-SNR, Hang et al. 2023, arXiv:2303.09556; the
+1 keeps the noisiest steps, where the caption alone decides); of the others by min(SNR, cap), as there. The artist's
betas are rescaled so that the last step holds no trace of the picture (Lin et al. 2023, arXiv:2305.08891): with Stable
Diffusion's own a trace is left by which a network that has seen few pictures tells them apart, and it never learns to
read. A share of each batch may be drawn from the noisiest fifth, and a smaller one from pure noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

V = "v_prediction"


class NoiseShares(Protocol):
    """Shares of a batch; the rest is drawn evenly from all steps."""

    @property
    def noisy_share(self) -> float:
        """Drawn from the noisiest fifth."""

    @property
    def pure_noise_share(self) -> float:
        """Drawn at the last step (of those that are not among `noisy_share`, taken first)."""


@dataclass(frozen=True)
class Noised:
    """Latents with noise in them: `noisy` and `target` (n, c, h, w), `steps` and `alpha` (n,).

    `alpha` is the cumulative product at each step; `target` is what `prediction` names: v_prediction, epsilon, sample.
    """

    noisy: Tensor
    target: Tensor
    steps: Tensor
    alpha: Tensor
    prediction: str = V

    def error(self, predicted: Tensor, cap: float, wanted: Tensor | None = None) -> Tensor:
        """Mean squared error of a prediction, weighted as said above; against `wanted` in place of the target."""
        error = (predicted.float() - (self.target if wanted is None else wanted)).square().mean(dim=(1, 2, 3))
        share = 1 - self.alpha
        if self.prediction == V:
            # An error on v is one on the clean latent times 1 - alpha = 1 / (SNR + 1).
            return (error * (1 / share).clamp(max=cap) * share).mean()
        ratio = self.alpha / share.clamp(min=1e-8)
        if self.prediction == "epsilon":
            # An error on the noise is one on the clean latent times SNR.
            return (error * ratio.clamp(max=cap) / ratio.clamp(min=1e-8)).mean()
        return (error * ratio.clamp(max=cap)).mean()


def draw_steps(
    count: int, shares: NoiseShares, last: int, device: torch.device, lots: torch.Generator | None = None
) -> Tensor:
    """Steps 0..last for a batch: (count,). lots: drawn from; None for PyTorch's own."""
    steps = torch.randint(last + 1, (count,), device=device, generator=lots)
    noisiest = torch.randint(last * 4 // 5, last + 1, (count,), device=device, generator=lots)
    place = torch.rand(count, device=device, generator=lots)
    steps = torch.where(place < shares.noisy_share, noisiest, steps)
    return torch.where(place < shares.pure_noise_share, last, steps)


def add_noise(
    latents: Tensor, steps: Tensor, alphas: Tensor, noise: Tensor | None = None, prediction: str = V
) -> Noised:
    """Latents (n, c, h, w) at these steps; `alphas` are the cumulative products, (1000,)."""
    alpha = alphas[steps]
    wide = alpha.view(-1, 1, 1, 1)
    noise = torch.randn_like(latents) if noise is None else noise
    noisy = wide.sqrt() * latents + (1 - wide).sqrt() * noise
    if prediction == V:
        target = wide.sqrt() * noise - (1 - wide).sqrt() * latents
    else:
        target = noise if prediction == "epsilon" else latents
    return Noised(noisy, target, steps, alpha, prediction)
