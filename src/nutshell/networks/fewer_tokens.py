"""Fewer tokens for self-attention, whose time goes with their square: merged by likeness, or pooled by place.

Both work on the tokens of a picture, (batch, height * width, channels), and need no training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nutshell.networks.ops import Ops

T = TypeVar("T")

# Of four tokens of a cell one is a target, so no more than three can go.
MOST_MERGED = 0.75


def pooled_tokens(ops: Ops[T], x: T, grid: tuple[int, int]) -> T:
    """The mean of each 2x2 cell, to take keys and values from: a quarter of the tokens.

    Token downsampling (Smith et al. 2024, arXiv:2402.13573) takes one token of each cell; the mean, which is as
    cheap, keeps something of all four. A side of odd length stays as it is.
    """
    batch, _, channels = ops.shape(x)
    height, width = grid
    if width % 2 == 0:
        x = ops.reshape(x, (batch, height * width // 2, 2 * channels))
        x = _halved(ops, x, 2, channels)
        width //= 2
    if height % 2 == 0:
        x = ops.reshape(x, (batch, height // 2, 2 * width, channels))
        x = _halved(ops, x, 2, width)
        height //= 2
    return ops.reshape(x, (batch, height * width, channels))


def _halved(ops: Ops[T], x: T, axis: int, half: int) -> T:
    """The mean of the first and the second `half` along an axis."""
    return ops.affine(ops.add(ops.slice(x, axis, 0, half), ops.slice(x, axis, half, 2 * half)), 0.5)


def merged_tokens(ops: Ops[T], likeness: T, x: T, grid: tuple[int, int], share: float) -> tuple[T, Callable[[T], T]]:
    """x with `share` of its tokens merged into others, and what brings a result of it back to every token.

    Token merging for Stable Diffusion (Bolya and Hoffman 2023, arXiv:2303.17604): in each 2x2 cell the first token is
    a target (its random choice would make a seed's picture depend on more than the seed); of all others those most
    like a target, by the cosine of `likeness`, are averaged into it, and get its result afterwards.
    """
    height, width = grid
    targets = [row * width + column for row in range(0, height - 1, 2) for column in range(0, width - 1, 2)]
    count = min(int(share * height * width), height * width - len(targets))
    if not targets or count < 1:
        return x, lambda result: result
    found = ops.match(likeness, targets, count)
    merged = ops.mean_rows(ops.take_rows(x, found.kept), found.into, ops.take_rows(x, found.merged))
    return merged, lambda result: ops.take_rows(result, found.back)
