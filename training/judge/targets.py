"""Boxes to heat maps and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from training.judge.labels import Box, overlap_share

LEAST_SPREAD = 0.6
SPREAD = 0.05
"""The bumps' standard deviation in cells: `LEAST_SPREAD` plus this share of the box's side."""

SAME_OBJECT = 0.75
"""Of two boxes that share more than this, the weaker one is dropped."""


def build(boxes: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """The heat map and the places for boxes (batch, items, 5): edges and longer side in shares; zeros for no box.

    Returns heat (batch, cells, cells), 1 at each centre's cell, and place (batch, 5, cells, cells), as in `Found`.
    Where bumps overlap, a cell belongs to the higher one.
    """
    left, top, right, bottom, side = boxes.unbind(-1)
    there = right > left
    width, height = (right - left).clamp(min=1e-3), (bottom - top).clamp(min=1e-3)
    x, y = (left + right) / 2 * cells, (top + bottom) / 2 * cells
    column, row = x.floor().clamp(0, cells - 1), y.floor().clamp(0, cells - 1)
    index = torch.arange(cells, dtype=boxes.dtype, device=boxes.device)
    across = ((index - column[..., None]) / (LEAST_SPREAD + SPREAD * width * cells)[..., None]).square()
    down = ((index - row[..., None]) / (LEAST_SPREAD + SPREAD * height * cells)[..., None]).square()
    bumps = torch.exp(-(down[..., :, None] + across[..., None, :]) / 2) * there[..., None, None]
    heat, owner = bumps.max(dim=1)
    batch = torch.arange(len(boxes), device=boxes.device)[:, None, None]
    place = torch.stack(
        [
            x[batch, owner] - (index + 0.5),
            y[batch, owner] - (index + 0.5)[:, None],
            width.log()[batch, owner],
            height.log()[batch, owner],
            side.clamp(min=1e-3).log()[batch, owner],
        ],
        dim=1,
    )
    return heat, place


@dataclass(frozen=True)
class Spot:
    """One found object: its box, its longer side as it would be untilted, the chance of its centre."""

    box: Box
    side: float
    score: float


def decode(heat: Tensor, place: Tensor, threshold: float, most: int) -> list[list[Spot]]:
    """The objects of each picture, the surest first. heat: chances (batch, cells, cells); place as `build` gives it."""
    cells = heat.shape[-1]
    peak = max_pool2d(heat[:, None], 3, 1, 1)[:, 0] == heat
    scores, where = (heat * peak).flatten(1).topk(most, dim=1)
    row, column = where // cells, where % cells
    values = place.flatten(2).gather(2, where[:, None].expand(-1, place.shape[1], -1))
    x, y = (column + 0.5 + values[:, 0]) / cells, (row + 0.5 + values[:, 1]) / cells
    width, height, side = values[:, 2:].exp().unbind(1)
    edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    rows = torch.stack((*edges, side, scores), dim=-1).tolist()
    return [_distinct([Spot((r[0], r[1], r[2], r[3]), r[4], r[5]) for r in some if r[5] >= threshold]) for some in rows]


def _distinct(spots: list[Spot]) -> list[Spot]:
    kept: list[Spot] = []
    for spot in spots:
        if all(overlap_share(spot.box, other.box) < SAME_OBJECT for other in kept):
            kept.append(spot)
    return kept
