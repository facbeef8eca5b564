"""A few steps of one pass each in place of many guided ones of two.

Each of the few steps learns where several guided steps of the source lead, on latents of the source's own runs
(progressive distillation, Salimans and Ho 2022, arXiv:2202.00512, with guidance folded in after Meng et al. 2023,
arXiv:2210.03142, several steps at once and from whole runs instead of noised pictures). The sampler stays DDIM.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nutshell.compress.teaching.ddim import Predict, alphas_between, trailing_steps, turn


@dataclass(frozen=True)
class FewSteps:
    """steps: timesteps of the run. turns: factors (a, b) of each, see `ddim.turn`. shares: how much each counts."""

    steps: tuple[int, ...]
    turns: tuple[tuple[float, float], ...]
    shares: tuple[float, ...]

    @staticmethod
    def of(count: int, alphas: Tensor, prediction: str = "v_prediction") -> FewSteps:
        """A run of `count` steps, its errors weighted as those of v; of other predictions by the truncated SNR.

        Salimans and Ho, section 4: an error on the clean latent counts max(SNR, 1), so one on the noise max(1, 1/SNR).
        """
        pairs = alphas_between(count, alphas)
        turns = [turn(before, after, prediction) for before, after in pairs]
        ratios = [before / (1 - before) for before, _ in pairs]
        shares = {"epsilon": [max(1.0, 1 / max(ratio, 1e-8)) for ratio in ratios],
                  "sample": [max(ratio, 1.0) for ratio in ratios]}.get(prediction, [1.0] * count)  # fmt: skip
        return FewSteps(tuple(trailing_steps(count, len(alphas))), tuple(turns), tuple(shares))

    def loss(self, predict: Predict, states: Tensor, number: Tensor) -> Tensor:
        """One step each from a state of the source's run: states (n, 1 + few, c, h, w), number (n,) of the step."""
        rows = torch.arange(len(number), device=number.device)
        before, after = states[rows, number].float(), states[rows, number + 1].float()
        a, b = torch.tensor(self.turns, device=number.device)[number].view(-1, 2, 1, 1, 1).unbind(1)
        share = torch.tensor(self.shares, device=number.device)[number].view(-1, 1, 1, 1)
        predicted = predict(before, torch.tensor(self.steps, device=number.device)[number])
        return (share * (predicted - (after - a * before) / b).square()).mean()

    def run_loss(self, predict: Predict, states: Tensor) -> Tensor:
        """All steps from the noise of a run; each latent on the way against the source's.

        So each step also learns to mend what the one before left.
        """
        latents = states[:, 0].float()
        total = latents.new_zeros(())
        for number, (step, (a, b)) in enumerate(zip(self.steps, self.turns, strict=True)):
            steps = torch.full((len(states),), step, device=states.device)
            latents = a * latents + b * predict(latents, steps)
            error = (latents - states[:, number + 1].float()).square().mean() / b**2
            total = total + self.shares[number] * error
        return total / len(self.steps)
