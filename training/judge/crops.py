"""Cut boxes out of pictures: generously once, then exactly, so that a cut can be used again with another jitter."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

CUT_PIXELS = 96
CUT_SHARE = 2.0
"""A cut's side over the box's longer side."""

CROP_PIXELS = 64
CROP_SHARE = 1.5
"""A crop's side over the box's longer side: hats and held things are in it."""


def shrink(pictures: Tensor, factor: int) -> Tensor:
    """The means of squares: uint8 (..., side, side) to (..., side / factor, side / factor); `factor` a power of two.

    In whole numbers, which on a CPU is a third of the work that a pooling of floats is.
    """
    if factor == 1:
        return pictures
    total = torch.full_like(pictures[..., ::factor, ::factor], factor**2 // 2, dtype=torch.int16)
    for row in range(factor):
        for column in range(factor):
            total += pictures[..., row::factor, column::factor]
    return (total >> (2 * (factor.bit_length() - 1))).byte()


def cut(pictures: Tensor, which: Tensor, boxes: Tensor) -> Tensor:
    """Squares around boxes: uint8 (boxes, 3, 96, 96); what lies outside of the picture repeats its border.

    pictures: uint8 (n, 3, side, side); which: (boxes,) the picture of each box; boxes: (boxes, 4) in shares.
    """
    side = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1).clamp(min=0.02) * CUT_SHARE
    centre = boxes[:, :2] + boxes[:, 2:] - 1  # -1..1
    cuts = torch.empty(len(boxes), 3, CUT_PIXELS, CUT_PIXELS, dtype=torch.uint8, device=pictures.device)
    # Halved first as often as it can be without losing detail, because bilinear sampling skips pixels.
    halvings = (side * pictures.shape[-1] / CUT_PIXELS).log2().round().clamp(min=0).long()
    for level in halvings.unique().tolist():
        chosen = (halvings == level).nonzero()[:, 0]
        sources, back = which[chosen].unique(return_inverse=True)
        small = shrink(pictures[sources], 2**level)[back].float()
        cuts[chosen] = _sample(small, side[chosen], centre[chosen], CUT_PIXELS).round().clamp(0, 255).byte()
    return cuts


def crop(cuts: Tensor, jitter: Tensor | None = None) -> Tensor:
    """The middle of the cuts: float (n, 3, 64, 64) in -1..1.

    jitter: (n, 3), how much larger (1.0: not) and how far to the right and down, in shares of the box's longer side.
    """
    if jitter is None:
        jitter = torch.tensor([[1.0, 0.0, 0.0]], device=cuts.device).expand(len(cuts), 3)
    share = jitter[:, 0] * (CROP_SHARE / CUT_SHARE)
    crops = _sample(cuts.float(), share, jitter[:, 1:] * (2 / CUT_SHARE), CROP_PIXELS)
    return (crops / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def random_jitter(count: int) -> Tensor:
    """Mostly what a good finder's errors look like, now and then a bad one's: (count, 3)."""
    spread = torch.where(torch.rand(count, 1) < 0.2, 2.5, 1.0)
    return torch.tensor([[1.0, 0.0, 0.0]]) + torch.randn(count, 3).clamp(-2, 2) * spread * 0.05


def _sample(pictures: Tensor, share: Tensor, centre: Tensor, side: int) -> Tensor:
    """Squares of `share` of the picture's side around `centre` (-1..1): (n, 3, side, side)."""
    affine = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    affine[:, 0, 0] = affine[:, 1, 1] = share
    affine[:, :, 2] = centre
    grid = affine_grid(affine, [len(pictures), 3, side, side], align_corners=False)
    return grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
