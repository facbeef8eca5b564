"""The OpenVINO interpreter of `Ops`: each operation becomes opset nodes, weights stay where they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nutshell.engines.openvino_library import openvino
from nutshell.errors import Shape
from nutshell.networks.ops import UNIT_EPS, Input, Int8Weight, Match, Padding, Weight, others
from nutshell.weights import Tensor

OvTensor, Type, op, opset15 = openvino.Tensor, openvino.Type, openvino.op, openvino.opset15

Node = Any  # An ov.Output; openvino ships no usable types.

_STORED = {"F32": Type.f32, "F16": Type.f16, "BF16": Type.bf16}

# OpenVINO's name for its attribute ov::Decompression, version 0.
_COMPRESSED = "decompression_0"


class OpenVinoOps:
    """`Ops[ov.Output]`.

    `held`: the arrays over stored bytes that constants point into. OpenVINO keeps no reference to them, so
    whoever keeps the model must keep these; while they live, their file cannot be unmapped either.
    """

    def __init__(self, has_group_norm: bool = True) -> None:
        """has_group_norm: False on x86 processors without AVX2, for which OpenVINO has no GroupNormalization."""
        self.held: list[Any] = []
        self._has_group_norm = has_group_norm

    def input(self, name: str, given: Input) -> Node:
        """A named input of static shape."""
        kind = np.int64 if given.integer else np.float32
        node = opset15.parameter(list(given.shape), kind, name=name)
        node.output(0).get_tensor().set_names({name})
        return node.output(0)

    def shape(self, x: Node) -> Shape:
        return tuple(x.get_shape())

    def conv2d(self, x: Node, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Node:
        top, left, bottom, right = padding
        out = opset15.convolution(
            x, self._weight(weight), [stride, stride], [top, left], [bottom, right], [1, 1]
        ).output(0)
        if bias is None:
            return out
        return opset15.add(out, self._weight(bias.reshape(1, bias.size, 1, 1))).output(0)

    def linear(self, x: Node, weight: Weight, bias: Tensor | None) -> Node:
        out = opset15.matmul(x, self._weight(weight), False, True).output(0)
        if bias is None:
            return out
        ones = (1,) * (len(self.shape(x)) - 1)
        return opset15.add(out, self._weight(bias.reshape(*ones, bias.size))).output(0)

    def parameter(self, tensor: Tensor) -> Node:
        return self._weight(tensor)

    def group_norm(self, x: Node, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Node:
        if self._has_group_norm:
            return opset15.group_normalization(x, self._weight(weight), self._weight(bias), groups, eps).output(0)
        # Each group as a row to be normalized (Wu, He 2018, arXiv:1803.08494, equation 7), for which there is MVN.
        shape = self.shape(x)
        rows = self.reshape(x, (shape[0], groups, math.prod(shape[1:]) // groups))
        normal = self.reshape(opset15.mvn(rows, _integers([-1]), True, eps, "inside_sqrt").output(0), shape)
        per_channel = (1, shape[1], *(1,) * (len(shape) - 2))
        scaled = opset15.multiply(normal, self._weight(weight.reshape(*per_channel))).output(0)
        return opset15.add(scaled, self._weight(bias.reshape(*per_channel))).output(0)

    def layer_norm(self, x: Node, weight: Tensor, bias: Tensor, eps: float) -> Node:
        normal = opset15.mvn(x, _integers([-1]), True, eps, "inside_sqrt").output(0)
        scaled = opset15.multiply(normal, self._weight(weight)).output(0)
        return opset15.add(scaled, self._weight(bias)).output(0)

    def fake_quantize(self, x: Node, scale: float, zero_point: int) -> Node:
        low, high = _constant(-zero_point * scale), _constant((255 - zero_point) * scale)
        return opset15.fake_quantize(x, low, high, low, high, levels=256).output(0)

    def attention(self, query: Node, key: Node, value: Node, heads: int, causal: bool) -> Node:
        split = [self._heads_first(part, heads) for part in (query, key, value)]
        mixed = opset15.scaled_dot_product_attention(*split, causal=causal).output(0)
        return self.reshape(self.transpose(mixed, (0, 2, 1, 3)), self.shape(query))

    def silu(self, x: Node) -> Node:
        return opset15.swish(x).output(0)

    def gelu(self, x: Node) -> Node:
        return opset15.gelu(x, "erf").output(0)

    def quick_gelu(self, x: Node) -> Node:
        return opset15.swish(x, _constant(1.702)).output(0)

    def relu(self, x: Node) -> Node:
        return opset15.relu(x).output(0)

    def tanh(self, x: Node) -> Node:
        return opset15.tanh(x).output(0)

    def add(self, a: Node, b: Node) -> Node:
        return opset15.add(a, b).output(0)

    def multiply(self, a: Node, b: Node) -> Node:
        return opset15.multiply(a, b).output(0)

    def affine(self, x: Node, scale: float, shift: float = 0.0) -> Node:
        scaled = opset15.multiply(x, _constant(scale)).output(0)
        return opset15.add(scaled, _constant(shift)).output(0) if shift else scaled

    def reshape(self, x: Node, shape: Shape) -> Node:
        return opset15.reshape(x, _integers(shape), False).output(0)

    def transpose(self, x: Node, axes: Sequence[int]) -> Node:
        return opset15.transpose(x, _integers(axes)).output(0)

    def concat(self, parts: Sequence[Node], axis: int) -> Node:
        return opset15.concat(list(parts), axis).output(0)

    def slice(self, x: Node, axis: int, start: int, stop: int) -> Node:
        return opset15.slice(x, _integers([start]), _integers([stop]), _integers([1]), _integers([axis])).output(0)

    def upsample(self, x: Node, height: int, width: int) -> Node:
        old_height, old_width = self.shape(x)[2:]
        if height % old_height or width % old_width:
            # Interpolate finds the source row in float32, which is off by one at some sizes.
            x = _gather(x, np.arange(height) * old_height // height, axis=2)
            return _gather(x, np.arange(width) * old_width // width, axis=3)
        return opset15.interpolate(
            x,
            _integers([height, width]),
            "nearest",
            "sizes",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
            axes=_integers([2, 3]),
        ).output(0)

    def match(self, x: Node, targets: Sequence[int], count: int) -> Match[Node]:
        batch, n, _ = self.shape(x)
        sources = others(n, targets)
        unit = opset15.normalize_l2(x, _integers([2]), UNIT_EPS**2, "max").output(0)
        rows, columns = (_gather(unit, places, axis=1) for places in (sources, targets))
        scores = opset15.matmul(rows, columns, False, True).output(0)
        nearest, height = self._greatest(scores)
        order = opset15.topk(height, _one(len(sources)), 1, "max", "value", index_element_type="i64").output(1)
        to_merge = self.slice(order, 1, 0, count)
        into = opset15.gather_elements(nearest, to_merge, 1).output(0)
        places = opset15.gather(_integers(sources), order, _one(0)).output(0)
        first = opset15.constant(np.tile(np.array(targets, np.int64), (batch, 1))).output(0)
        # OpenVINO crashes on a slice of nothing.
        kept = self.concat([first, self.slice(places, 1, count, len(sources))], 1) if count < len(sources) else first
        merged = self.slice(places, 1, 0, count)
        back = opset15.constant(np.zeros((batch, n), np.int64)).output(0)
        stay = opset15.constant(np.tile(np.arange(n - count), (batch, 1))).output(0)
        for where, what in ((kept, stay), (merged, into)):
            back = opset15.scatter_elements_update(back, where, what, _one(1)).output(0)
        return Match(kept, merged, into, back)

    def _greatest(self, scores: Node) -> tuple[Node, Node]:
        """Along the last axis of (batch, n, m): the place of the greatest, and the greatest, both (batch, n)."""
        batch, n, m = self.shape(scores)
        if m == 1:
            # TopK over a single value gives a place that is none.
            return opset15.constant(np.zeros((batch, n), np.int64)).output(0), self.reshape(scores, (batch, n))
        best = opset15.topk(scores, _one(1), 2, "max", "none", index_element_type="i64")
        return self.reshape(best.output(1), (batch, n)), self.reshape(best.output(0), (batch, n))

    def take_rows(self, x: Node, places: Node) -> Node:
        # Not Gather with batch_dims: of a single batch it crashes over places that were scattered (2026.4).
        return opset15.gather_nd(x, opset15.unsqueeze(places, _integers([2])), 1).output(0)

    def mean_rows(self, x: Node, places: Node, rows: Node) -> Node:
        where = opset15.broadcast(opset15.unsqueeze(places, _integers([2])), _integers(self.shape(rows))).output(0)
        return opset15.scatter_elements_update(x, where, rows, _one(1), "mean", True).output(0)

    def _weight(self, tensor: Weight) -> Node:
        """A stored tensor as float32: the mapped bytes shared, converted in the graph if stored in less."""
        if isinstance(tensor, Int8Weight):
            return self._int8(tensor)
        tensor = tensor.plain()
        kind = _STORED.get(tensor.dtype)
        if kind is None:
            return op.Constant(OvTensor(np.ascontiguousarray(tensor.f32())), shared_memory=False).output(0)
        stored = tensor.array()
        self.held.append(stored)
        shared = (
            OvTensor(stored, list(tensor.shape), kind) if kind is Type.bf16 else OvTensor(stored, shared_memory=True)
        )
        constant = op.Constant(shared, shared_memory=True).output(0)
        if kind is Type.f32:
            return constant
        widened = opset15.convert(constant, "f32")
        # The mark of compressed weights. Without it OpenVINO folds the conversion into a float32 copy, made
        # before it packs the weights and kept as long as the model: 1.2 GB more for 323 M parameters.
        widened.get_rt_info()[_COMPRESSED] = ""
        return widened.output(0)

    def _int8(self, weight: Int8Weight) -> Node:
        """Eight bits, converted and scaled in the graph. Behind a quantized input OpenVINO keeps and multiplies
        them as they are; without one it expands a convolution's and keeps a linear's."""
        values, scales = weight.read()
        self.held.append(values)
        constant = op.Constant(OvTensor(values, shared_memory=True), shared_memory=True).output(0)
        return opset15.multiply(opset15.convert(constant, "f32"), opset15.constant(scales)).output(0)

    def _heads_first(self, x: Node, heads: int) -> Node:
        batch, length, width = self.shape(x)
        return self.transpose(self.reshape(x, (batch, length, heads, width // heads)), (0, 2, 1, 3))


def _constant(value: float) -> Node:
    return opset15.constant(np.float32(value)).output(0)


def _gather(x: Node, indices: Any, axis: int) -> Node:
    return opset15.gather(x, _integers(indices), _one(axis)).output(0)


def _one(value: int) -> Node:
    return opset15.constant(np.int64(value)).output(0)


def _integers(values: Sequence[int]) -> Node:
    return opset15.constant(np.array(values, np.int64)).output(0)
