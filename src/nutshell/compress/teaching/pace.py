"""How fast to learn, and the average of the weights, which is what is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def rate_factor(share: float, warmup: float, decay_from: float) -> float:
    """1 between warm-up and decay; a cosine from 1 to 0 after `decay_from`. share: of the training that is done."""
    if share < warmup:
        return max(0.01, share / warmup)
    if share < decay_from:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (share - decay_from) / (1 - decay_from)))


def update_average(average: Iterable[Tensor], current: Iterable[Tensor], decay: float, step: int) -> None:
    """Exponential moving average of the weights, shorter at the start; `average` is changed in place."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(list(average), list(current), 1 - decay)
