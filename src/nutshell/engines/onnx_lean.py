"""The ONNX interpreter for the least memory: half-precision weights are widened when they are due, in pieces.

A cast of a stored weight waits for nothing, so ONNX Runtime would run all of them at the beginning of a pass and hold
every weight in float32 at once. Here each is tied to the layer before it, and a large weight is cut along its output
channels, so that no more than a piece is wide at any time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx_ir as ir

from nutshell.engines.onnx_ops import OnnxOps, Value
from nutshell.networks.ops import Int8Weight, Padding, Weight
from nutshell.weights import Tensor

_HALF = ("F16", "BF16")

# Values of a weight. A piece takes six bytes of each while it is widened: what is stored is copied on the way.
_PIECE = 4 << 20
# Biases and norms are not worth a wait.
_SMALL = 1 << 14


class LeanOnnxOps(OnnxOps):
    """`OnnxOps` that never holds more than a piece of the half-precision weights in float32."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: Value | None = None  # The output of the last layer so far.

    def conv2d(self, x: Value, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Value:
        parts = []
        for piece, its_bias in _pieces(weight, bias):
            self._latest = super().conv2d(x, piece, its_bias, stride, padding)
            parts.append(self._latest)
        return parts[0] if len(parts) == 1 else self.concat(parts, 1)

    def linear(self, x: Value, weight: Weight, bias: Tensor | None) -> Value:
        parts = []
        for piece, its_bias in _pieces(weight, bias):
            self._latest = super().linear(x, piece, its_bias)
            parts.append(self._latest)
        return parts[0] if len(parts) == 1 else self.concat(parts, len(self.shape(x)) - 1)

    def _float(self, tensor: Weight) -> Value:
        if isinstance(tensor, Int8Weight) or tensor.dtype not in _HALF or tensor.size < _SMALL or self._latest is None:
            return super()._float(tensor)
        # A target shape that is computed from the layer before: nothing else makes a constant wait.
        first = self._node("Shape", [self._latest], (1,), kind=ir.DataType.INT64, start=0, end=1)
        nothing = self._node("Mul", [first, self._integers([0])], (1,), kind=ir.DataType.INT64)
        rank = len(tensor.shape)
        shape = self._node("Add", [nothing, self._integers(tensor.shape)], (rank,), kind=ir.DataType.INT64)
        stored = self._weight(tensor)
        due = self._node("Reshape", [stored, shape], tensor.shape, kind=stored.type.dtype)
        return self._node("Cast", [due], tensor.shape, to=ir.DataType.FLOAT)


def _pieces(weight: Weight, bias: Tensor | None) -> Iterator[tuple[Weight, Tensor | None]]:
    """Output channels of a layer, `_PIECE` values at most at a time where they will be widened."""
    if isinstance(weight, Int8Weight) or weight.dtype not in _HALF or weight.size <= _PIECE:
        yield weight, bias
        return
    rows = weight.shape[0]
    step = math.ceil(rows / math.ceil(weight.size / _PIECE))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        yield weight.rows(start, stop), bias and bias.rows(start, stop)
