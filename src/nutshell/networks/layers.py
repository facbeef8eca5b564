"""Layers: an operation together with the stored tensors it takes, their shapes checked.

Every function reads `weights` at the layer's own scope ("weight", "bias") and states the shape it
expects from its input and its declared width, so that a misfitting checkpoint is named before it runs.

A linear, or a 1x1 convolution, may lie there as two factors, "down.weight" and "up.weight", whose product it is
(`nutshell compress lowrank --factors`): it then runs as two.
"""

from __future__ import annotations

from typing import TypeVar

from nutshell.errors import Shape
from nutshell.networks.ops import Int8Weight, Ops, Padding, Weight
from nutshell.weights import Quantized, Weights

T = TypeVar("T")


def conv2d(
    ops: Ops[T],
    weights: Weights,
    x: T,
    channels: int,
    kernel: int = 3,
    stride: int = 1,
    padding: Padding | None = None,
    bias: bool = True,
) -> T:
    """Convolution to `channels`; padding defaults to "same" for an odd kernel."""
    around = kernel // 2
    shift = weights.take("bias", (channels,)) if bias else None
    if kernel == 1 and stride == 1 and weights.has("down"):
        rank = factor_rank(weights)
        x = ops.conv2d(x, _weight(weights.at("down"), (rank, ops.shape(x)[1], 1, 1)), None, 1, (0, 0, 0, 0))
        return ops.conv2d(x, _weight(weights.at("up"), (channels, rank, 1, 1)), shift, 1, (0, 0, 0, 0))
    weight = _weight(weights, (channels, ops.shape(x)[1], kernel, kernel))
    return ops.conv2d(x, weight, shift, stride, padding or (around, around, around, around))


def linear(ops: Ops[T], weights: Weights, x: T, width: int, bias: bool = True) -> T:
    """Linear map of the last axis to `width`."""
    shift = weights.take("bias", (width,)) if bias else None
    if weights.has("down"):
        rank = factor_rank(weights)
        x = ops.linear(x, _weight(weights.at("down"), (rank, ops.shape(x)[-1])), None)
        return ops.linear(x, _weight(weights.at("up"), (width, rank)), shift)
    return ops.linear(x, _weight(weights, (width, ops.shape(x)[-1])), shift)


def factor_rank(weights: Weights) -> int:
    """How wide the factors of a layer meet."""
    return (weights.shape("down.weight") or (1,))[0]


def _weight(weights: Weights, shape: Shape) -> Weight:
    """A layer's weight; one that is stored in eight bits stays in them."""
    stored = weights.take("weight", shape)
    if isinstance(stored, Quantized) and stored.bits == 8:
        return Int8Weight(stored, lambda _: stored.int8_rows())
    return stored


def group_norm(ops: Ops[T], weights: Weights, x: T, groups: int, eps: float) -> T:
    """Group normalization over the channels (axis 1)."""
    channels = (ops.shape(x)[1],)
    return ops.group_norm(x, weights.take("weight", channels), weights.take("bias", channels), groups, eps)


def layer_norm(ops: Ops[T], weights: Weights, x: T, eps: float = 1e-5) -> T:
    """Layer normalization over the last axis."""
    width = (ops.shape(x)[-1],)
    return ops.layer_norm(x, weights.take("weight", width), weights.take("bias", width), eps)


def to_sequence(ops: Ops[T], x: T) -> T:
    """(batch, channels, height, width) -> (batch, height * width, channels).

    Channels go last before the reshape: engines keep pictures so anyway, and then move nothing.
    """
    batch, channels, height, width = ops.shape(x)
    return ops.reshape(ops.transpose(x, (0, 2, 3, 1)), (batch, height * width, channels))


def to_picture(ops: Ops[T], x: T, height: int, width: int) -> T:
    """(batch, height * width, channels) -> (batch, channels, height, width)."""
    batch, _, channels = ops.shape(x)
    return ops.transpose(ops.reshape(x, (batch, height, width, channels)), (0, 3, 1, 2))
