"""What a student learns from its teacher: the prediction, and the features that lead to it.

Features after each level and the middle are compared as in BK-SDM (Kim et al. 2023, arXiv:2305.15798), each error as a
share of the teacher's own power, so that no level outweighs the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from nutshell.compress.teaching.noise import Noised


class LossWeights(Protocol):
    """How much each error counts. snr_cap: see `noise.py`."""

    @property
    def output_weight(self) -> float:
        """Of the error to the teacher's prediction."""

    @property
    def feature_weight(self) -> float:
        """Of the mean relative error to the teacher's features."""

    @property
    def data_weight(self) -> float:
        """Of the error to what was added to the data."""

    @property
    def snr_cap(self) -> float:
        """The most that a step's error on the clean latent counts."""


def distillation_loss(
    noised: Noised,
    predicted: Tensor,
    wanted: Tensor,
    ours: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    weights: LossWeights,
) -> Tensor:
    """Weighted sum of three errors: to the teacher's prediction `wanted`, its features, and the true target.

    ours: the student's features that are compared, as wide as the teacher's; theirs: those, at least.
    """
    errors = [relative_error(ours[name].float(), theirs[name]) for name in ours]
    loss = (
        weights.output_weight * noised.error(predicted, weights.snr_cap, wanted)
        + weights.data_weight * noised.error(predicted, weights.snr_cap)
    )  # fmt: skip
    return loss + weights.feature_weight * torch.stack(errors).mean() if errors else loss


def relative_error(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared error as a share of `theirs`' mean square, over a batch (n, channels, h, w)."""
    return (ours - theirs).square().mean() / theirs.square().mean().clamp(min=1e-6)


def shared_features(student_levels: int, teacher_levels: int, middles: bool) -> list[str]:
    """The features that both have at the same resolution, named as `nutshell.networks.unet` does.

    middles: whether both have a middle block. A lowest level that is not the teacher's does not end in a halving there.
    """
    lowest = student_levels - 1
    names = [f"down{level}" for level in range(lowest)] + [f"up{level}" for level in range(student_levels)]
    if student_levels == teacher_levels:
        names += [f"down{lowest}", "middle"] if middles else [f"down{lowest}"]
    return names
