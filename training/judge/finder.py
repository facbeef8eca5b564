"""The network that says where objects are, what lies behind them, and what kind of picture it is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from training.judge.blocks import Block, stem
from training.judge.classes import Classes
from training.judge.labels import UNKNOWN
from training.judge.namer import known_cross_entropy

PICTURE_PIXELS = 128
CELLS = PICTURE_PIXELS // 4
PLACE_FROM = 0.3
"""Heat above which a cell has to know the box."""


class Found(NamedTuple):
    """What the finder says about a batch.

    `heat`: logits (batch, cells, cells); `place`: (batch, 5, cells, cells), the box's centre from the cell's middle
    in cells, the logarithms of its width, its height and the object's longer side (not the same where it is tilted)
    as shares of the picture. The rest are logits (batch, classes) and
    `features` (batch, width).
    """

    heat: Tensor
    place: Tensor
    background: Tensor
    colours: Tensor
    style: Tensor
    groups: Tensor
    features: Tensor


class FinderTargets(NamedTuple):
    """What it should say, in the same order: see `targets.build` and `Numbers`."""

    heat: Tensor
    place: Tensor
    background: Tensor
    colours: Tensor
    style: Tensor
    groups: Tensor


class Finder(nn.Module):
    """Down to an eighth of the cells, then up again with the finer levels added on the way."""

    def __init__(self, classes: Classes, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        finest, fine, coarse, coarsest = widths
        self.stem = stem(finest)
        self.levels = nn.ModuleList(
            [Block(finest, finest), Block(finest, fine, 2), Block(fine, coarse, 2), Block(coarse, coarsest, 2)]
        )
        self.narrow = nn.ModuleList(
            [nn.Conv2d(coarsest, fine, 1), nn.Conv2d(coarse, fine, 1), nn.Conv2d(fine, fine, 1)]
        )
        self.mix = Block(fine, fine)
        self.finish = nn.Sequential(
            nn.Conv2d(fine + finest, fine, 3, 1, 1, bias=False), nn.BatchNorm2d(fine), nn.ReLU(), nn.Conv2d(fine, 6, 1)
        )
        self.parts = [len(classes.backgrounds), len(classes.colours), len(classes.styles), len(classes.groups)]
        self.whole = nn.Linear(coarsest, sum(self.parts))
        # At first no cell is thought to be a centre, and all boxes are of middling size.
        self.finish[-1].bias.data.copy_(torch.tensor([-2.2, 0.0, 0.0, -1.0, -1.0, -1.0]))

    def forward(self, x: Tensor) -> Found:
        """x: (batch, 3, 128, 128) in -1..1."""
        levels = [self.levels[0](self.stem(x))]
        for level in self.levels[1:]:
            levels.append(level(levels[-1]))
        finest, fine, coarse, coarsest = levels
        features = coarsest.mean(dim=(2, 3))
        y = self.narrow[1](coarse) + _doubled(self.narrow[0](coarsest))
        y = self.mix(self.narrow[2](fine) + _doubled(y))
        y = self.finish(torch.cat((_doubled(y), finest), dim=1)).float()
        return Found(y[:, 0], y[:, 1:], *self.whole(features).float().split(self.parts, dim=1), features.float())


def _doubled(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")


def finder_losses(found: Found, targets: FinderTargets) -> dict[str, Tensor]:
    """How wrong a batch is, in parts to be summed; places count where the heat is above `PLACE_FROM`."""
    centres = max(1.0, float((targets.heat == 1).sum()))
    heat = _focal(found.heat, targets.heat) / centres
    weight = targets.heat * (targets.heat > PLACE_FROM)
    error = (found.place - targets.place).abs() * weight[:, None]
    place = (error[:, :2].sum() + 4 * error[:, 2:].sum()) / weight.sum().clamp(min=1.0)
    background = cross_entropy(found.background, targets.background, ignore_index=UNKNOWN, reduction="sum")
    style = cross_entropy(found.style, targets.style, ignore_index=UNKNOWN, reduction="sum")
    colours = known_cross_entropy(found.colours, targets.colours)
    groups = known_cross_entropy(found.groups, targets.groups)
    count = len(found.heat)
    return {
        "heat": heat,
        "place": place,
        "background": background / count,
        "colours": colours / count,
        "style": style / count,
        "groups": 0.2 * groups / count,
    }


def _focal(logits: Tensor, heat: Tensor) -> Tensor:
    """CenterNet's loss: cells at a centre count fully, those close to one hardly."""
    chance = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    hit = (1 - chance).square() * chance.log() * (heat == 1)
    miss = (1 - heat).pow(4) * chance.square() * (1 - chance).log() * (heat < 1)
    return -(hit + miss).sum()
