"""What wrappers of an interpreter share: every operation is handed on as it is.

A wrapper changes how a network computes (records it, computes in fewer bits) without touching it: it
stands between the network and the interpreter, and overrides the operations that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from nutshell.errors import Shape
from nutshell.networks.ops import Match, Ops, Padding, Weight
from nutshell.weights import Tensor, Weights

T = TypeVar("T")

# Of a layer, by its stored weight.
Names = Mapping[Tensor, str]


def layer_names(weights: Weights) -> Names:
    """Stored weight -> name of its layer: the canonical one that networks ask for, without ".weight".

    A tensor's own name is the file's, and the same layer is called otherwise in a single file.
    """
    return {
        tensor: name.removesuffix(".weight")
        for name, tensor in zip(weights.names(), weights.tensors(), strict=True)
        if name.endswith(".weight")
    }


class Wrapper(Generic[T]):
    """`Ops[T]` by way of another `Ops[T]`."""

    def __init__(self, ops: Ops[T]) -> None:
        self.ops = ops

    def shape(self, x: T) -> Shape:
        return self.ops.shape(x)

    def conv2d(self, x: T, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> T:
        return self.ops.conv2d(x, weight, bias, stride, padding)

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        return self.ops.linear(x, weight, bias)

    def parameter(self, tensor: Tensor) -> T:
        return self.ops.parameter(tensor)

    def group_norm(self, x: T, weight: Tensor, bias: Tensor, groups: int, eps: float) -> T:
        return self.ops.group_norm(x, weight, bias, groups, eps)

    def layer_norm(self, x: T, weight: Tensor, bias: Tensor, eps: float) -> T:
        return self.ops.layer_norm(x, weight, bias, eps)

    def fake_quantize(self, x: T, scale: float, zero_point: int) -> T:
        return self.ops.fake_quantize(x, scale, zero_point)

    def attention(self, query: T, key: T, value: T, heads: int, causal: bool) -> T:
        return self.ops.attention(query, key, value, heads, causal)

    def silu(self, x: T) -> T:
        return self.ops.silu(x)

    def gelu(self, x: T) -> T:
        return self.ops.gelu(x)

    def quick_gelu(self, x: T) -> T:
        return self.ops.quick_gelu(x)

    def relu(self, x: T) -> T:
        return self.ops.relu(x)

    def tanh(self, x: T) -> T:
        return self.ops.tanh(x)

    def add(self, a: T, b: T) -> T:
        return self.ops.add(a, b)

    def multiply(self, a: T, b: T) -> T:
        return self.ops.multiply(a, b)

    def affine(self, x: T, scale: float, shift: float = 0.0) -> T:
        return self.ops.affine(x, scale, shift)

    def reshape(self, x: T, shape: Shape) -> T:
        return self.ops.reshape(x, shape)

    def transpose(self, x: T, axes: Sequence[int]) -> T:
        return self.ops.transpose(x, axes)

    def concat(self, parts: Sequence[T], axis: int) -> T:
        return self.ops.concat(parts, axis)

    def slice(self, x: T, axis: int, start: int, stop: int) -> T:
        return self.ops.slice(x, axis, start, stop)

    def upsample(self, x: T, height: int, width: int) -> T:
        return self.ops.upsample(x, height, width)

    def match(self, x: T, targets: Sequence[int], count: int) -> Match[T]:
        return self.ops.match(x, targets, count)

    def take_rows(self, x: T, places: T) -> T:
        return self.ops.take_rows(x, places)

    def mean_rows(self, x: T, places: T, rows: T) -> T:
        return self.ops.mean_rows(x, places, rows)
