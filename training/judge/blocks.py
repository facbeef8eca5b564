"""The residual block both networks are made of.

Batch normalization, because on a CPU in bf16 it is far cheaper than group normalization and these networks see
whole batches; everything runs in channels_last, which is a third faster here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `stride` 2 halves the sides."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        same = channels == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, bias=False)
        # At first a block is its shortcut: after 16,000 crops a quarter more were right than without this.
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, side, side) to (batch, width, side / stride, side / stride)."""
        y = torch.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return torch.relu(y + self.shortcut(avg_pool2d(x, 2) if self.stride == 2 else x))


def stem(width: int) -> nn.Sequential:
    """Overlapping patches of 8x8 pixels every 4: (batch, 3, side, side) to (batch, width, side / 4, side / 4)."""
    return nn.Sequential(nn.Conv2d(3, width, 8, 4, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU())


@torch.no_grad()
def settle(model: nn.Module, draw: Callable[[], Tensor], batches: int) -> None:
    """Measure the batch normalizations' statistics anew, for weights that are an average or were trained in parts."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    model.train()
    for _ in range(batches):
        model(draw())
    model.eval()
