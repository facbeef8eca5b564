"""The ONNX interpreter for the least memory: half-precision weights are widened when they are due, in pieces.

A cast of a stored weight waits for nothing, so ONNX Runtime would run all of them at the beginning of a pass and hold
every weight in float32 at once. Here each is tied to the layer before it, and a large weight is cut along its output
channels, so that no more than a piece is wide at any time. Eight-bit weights, which no file has, are made while the
graph is built and lie in a scratch file, whose pages may go as those of the model may.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from nutshell.engines.onnx_int8 import int8_columns, neighbours, row_pieces
from nutshell.engines.onnx_ops import CONTRIB, OnnxOps, Value, new_value
from nutshell.engines.scratch import Scratch
from nutshell.errors import Shape
from nutshell.networks.ops import Int8Weight, Padding, Weight
from nutshell.weights import Tensor

_HALF = ("F16", "BF16")
_SCRATCH = "weights.scratch"

# Values of a weight. A piece takes six bytes of each while it is widened: what is stored is copied on the way.
_PIECE = 4 << 20
# Biases and norms are not worth a wait.
_SMALL = 1 << 14


class LeanOnnxOps(OnnxOps):
    """`OnnxOps` that never holds more than a piece of the half-precision weights in float32.

    scratch: where eight-bit weights go; None to keep them in memory. After `model`, `made` is the map of it.
    """

    def __init__(self, scratch: Scratch | None = None) -> None:
        super().__init__()
        self._latest: Value | None = None  # The output of the last layer so far.
        self._scratch = scratch

    def model(self, name: str, inputs: Mapping[str, Value], outputs: Sequence[Value]) -> bytes:
        self.made = self._scratch.mapped() if self._scratch is not None else None
        if self.made is not None:
            self.files[_SCRATCH] = memoryview(self.made)
        self._leave_out_unused(outputs)
        return super().model(name, inputs, outputs)

    def conv2d(self, x: Value, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Value:
        if isinstance(weight, Int8Weight) and x in self._int8:
            self._latest = self._conv_int8(x, weight, bias, stride, padding)
            return self._latest
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

    def _linear_int8(self, x: Value, weight: Int8Weight, bias: Tensor | None) -> Value:
        return self._product(self._int8[x][0], x, self._columns(weight), bias)

    def _conv_int8(self, x: Value, weight: Int8Weight, bias: Tensor | None, stride: int, padding: Padding) -> Value:
        """Channels last, every neighbourhood a row, times the weights: some rows of the picture at a time."""
        batch, channels, height, width = self.shape(x)
        top, left, bottom, right = padding
        kernel = (weight.shape[2], weight.shape[3])
        stored, _, zero_point = self._int8[x]
        shape = (batch, height + top + bottom, width + left + right, channels)
        stored = self._eight("Transpose", [stored], (batch, height, width, channels), perm=[0, 2, 3, 1])
        if any(padding):
            around = self._integers([0, top, left, 0, 0, bottom, right, 0])
            stored = self._eight("Pad", [stored, around, zero_point], shape)
        out_height, out_width = (shape[1] - kernel[0]) // stride + 1, (shape[2] - kernel[1]) // stride + 1
        columns, parts = self._columns(weight), []
        for start, stop in row_pieces(out_height, batch * out_width * weight.size // weight.shape[0]):
            seen = []
            for row, column in neighbours(kernel):
                first = (start * stride + row, column)
                last = (first[0] + (stop - start - 1) * stride + 1, column + (out_width - 1) * stride + 1)
                bounds = [self._integers(pair) for pair in (first, last, (1, 2), (stride, stride))]
                seen.append(self._eight("Slice", [stored, *bounds], (batch, stop - start, out_width, channels)))
            rows = seen[0] if len(seen) == 1 else self.concat_eight(seen)
            parts.append(self.transpose(self._product(rows, x, columns, bias), (0, 3, 1, 2)))
        return parts[0] if len(parts) == 1 else self.concat(parts, 2)

    def concat_eight(self, parts: Sequence[Value]) -> Value:
        """Values in eight bits side by side along the last axis."""
        shape = self.shape(parts[0])
        return self._eight("Concat", parts, (*shape[:-1], sum(self.shape(part)[-1] for part in parts)), axis=3)

    def _product(self, rows: Value, x: Value, columns: tuple[Value, Value], bias: Tensor | None) -> Value:
        """rows (..., inputs) in eight bits, quantized as x was, times columns (inputs, out)."""
        _, scale, zero_point = self._int8[x]
        inputs = [rows, columns[0], scale, columns[1], zero_point, None]
        if bias is not None:
            inputs.append(self._float(bias))
        shape = (*self.shape(rows)[:-1], self.shape(columns[0])[1])
        return self._node("MatMulIntegerToFloat", inputs, shape, CONTRIB)

    def _columns(self, weight: Int8Weight) -> tuple[Value, Value]:
        values, scales = int8_columns(weight)
        return self._kept(Tensor.of(f"{weight.name}.int8", values)), self._given(f"{weight.name}.scale", scales)

    def _kept(self, made: Tensor) -> Value:
        """An array made for this graph, in the scratch file if there is one."""
        if self._scratch is None:
            return self._given(made.name, made.array())
        place = self._scratch.append(made.array())
        name = f"{made.name}#{len(self._weights)}"
        value = new_value(made.shape, ir.DataType.INT8, name)
        value.const_value = ir.ExternalTensor(
            _SCRATCH, place, made.nbytes, ir.DataType.INT8, shape=ir.Shape(made.shape), name=name
        )
        self._weights[(id(self._scratch), place, made.dtype, made.shape)] = value
        return value

    def _eight(self, operator: str, inputs: Sequence[Value], shape: Shape, **attributes: Any) -> Value:
        return self._node(operator, inputs, shape, kind=ir.DataType.UINT8, **attributes)

    def _leave_out_unused(self, outputs: Sequence[Value]) -> None:
        """Nodes whose results nothing reads, which ONNX Runtime would run: values brought back from eight bits."""
        used, kept = {id(output) for output in outputs}, []
        for node in reversed(self._nodes):
            if any(id(output) in used for output in node.outputs):
                kept.append(node)
                used.update(id(given) for given in node.inputs if given is not None)
        self._nodes = kept[::-1]

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
