"""The reference interpreter: every operation in plain NumPy, slow and easy to check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.errors import Shape
from nutshell.networks.ops import UNIT_EPS, Match, Network, Padding, Weight, others
from nutshell.weights import Tensor, Weights

Array = npt.NDArray[Any]

# Of the windows of a convolution that are laid out at once.
_WINDOW_BYTES = 16_000_000

_erf = np.frompyfunc(math.erf, 1, 1)


class NumpyOps:
    """`Ops[Array]`: values are float32 arrays (int64 for token ids), computed at once."""

    def shape(self, x: Array) -> Shape:
        return x.shape

    def conv2d(self, x: Array, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Array:
        top, left, bottom, right = padding
        kernels = weight.f32()
        size = kernels.shape[2:]
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))[:, :, ::stride, ::stride]
        batch, channels, height, width = windows.shape[:4]
        out = np.empty((batch, len(kernels), height, width), np.float32)
        # Some rows at a time: the windows are copied, and those of a whole picture take nine times its bytes.
        rows = max(1, _WINDOW_BYTES // (4 * batch * channels * width * size[0] * size[1]))
        for start in range(0, height, rows):
            band = windows[:, :, start : start + rows]
            # windows (b, c, h, w, kh, kw) against kernels (o, c, kh, kw) -> (b, h, w, o).
            sums = np.tensordot(band, kernels, axes=((1, 4, 5), (1, 2, 3)))
            out[:, :, start : start + rows] = np.moveaxis(sums, -1, 1)
        return out if bias is None else out + bias.f32()[:, None, None]

    def linear(self, x: Array, weight: Weight, bias: Tensor | None) -> Array:
        out = x @ weight.f32().T
        return out if bias is None else out + bias.f32()

    def parameter(self, tensor: Tensor) -> Array:
        return tensor.f32()

    def group_norm(self, x: Array, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Array:
        grouped = x.reshape(x.shape[0], groups, -1)
        normal = _normalized(grouped, eps).reshape(x.shape)
        per_channel = (-1, *(1,) * (x.ndim - 2))
        return normal * weight.f32().reshape(per_channel) + bias.f32().reshape(per_channel)

    def layer_norm(self, x: Array, weight: Tensor, bias: Tensor, eps: float) -> Array:
        return _normalized(x, eps) * weight.f32() + bias.f32()

    def fake_quantize(self, x: Array, scale: float, zero_point: int) -> Array:
        step = np.float32(scale)
        # Bounded by -zero_point and 255 - zero_point: the zero point itself need not be added and taken off.
        return np.asarray(np.clip(np.rint(x / step), -zero_point, 255 - zero_point) * step, np.float32)

    def attention(self, query: Array, key: Array, value: Array, heads: int, causal: bool) -> Array:
        q, k, v = (_heads_first(part, heads) for part in (query, key, value))
        mixed = np.empty(q.shape, np.float32)
        # One head at a time: the scores of all take most of what a network takes.
        for place in np.ndindex(q.shape[:2]):
            mixed[place] = _attended(q[place], k[place], v[place], causal)
        return np.asarray(mixed.transpose(0, 2, 1, 3).reshape(query.shape), np.float32)

    def silu(self, x: Array) -> Array:
        return x * _sigmoid(x)

    def gelu(self, x: Array) -> Array:
        return np.asarray(0.5 * x * (1.0 + np.asarray(_erf(x / math.sqrt(2.0)), np.float32)), np.float32)

    def quick_gelu(self, x: Array) -> Array:
        return x * _sigmoid(np.float32(1.702) * x)

    def relu(self, x: Array) -> Array:
        return np.maximum(x, np.float32(0))

    def tanh(self, x: Array) -> Array:
        return np.tanh(x)

    def add(self, a: Array, b: Array) -> Array:
        return a + b

    def multiply(self, a: Array, b: Array) -> Array:
        return a * b

    def affine(self, x: Array, scale: float, shift: float = 0.0) -> Array:
        return x * np.float32(scale) + np.float32(shift)

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape(shape)

    def transpose(self, x: Array, axes: Sequence[int]) -> Array:
        return x.transpose(axes)

    def concat(self, parts: Sequence[Array], axis: int) -> Array:
        return np.concatenate(parts, axis)

    def slice(self, x: Array, axis: int, start: int, stop: int) -> Array:
        return x.take(range(start, stop), axis)

    def upsample(self, x: Array, height: int, width: int) -> Array:
        rows = np.arange(height) * x.shape[2] // height
        columns = np.arange(width) * x.shape[3] // width
        return x[:, :, rows][:, :, :, columns]

    def match(self, x: Array, targets: Sequence[int], count: int) -> Match[Array]:
        batch, n, _ = x.shape
        sources = others(n, targets)
        unit = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), np.float32(UNIT_EPS))
        scores = unit[:, sources] @ unit[:, list(targets)].swapaxes(-1, -2)
        order = np.argsort(-scores.max(axis=-1), axis=-1, kind="stable")
        into = np.take_along_axis(scores.argmax(axis=-1), order[:, :count], -1)
        places = np.asarray(sources)[order]
        first = np.broadcast_to(np.asarray(targets), (batch, len(targets)))
        kept, merged = np.concatenate([first, places[:, count:]], axis=1), places[:, :count]
        back = np.zeros((batch, n), np.int64)
        np.put_along_axis(back, kept, np.arange(n - count)[None].repeat(batch, 0), -1)
        np.put_along_axis(back, merged, into, -1)
        return Match(kept, merged, into, back)

    def take_rows(self, x: Array, places: Array) -> Array:
        return np.take_along_axis(x, places[..., None], 1)

    def mean_rows(self, x: Array, places: Array, rows: Array) -> Array:
        sums, counts = x.copy(), np.ones((*x.shape[:2], 1), np.float32)
        for one in range(x.shape[0]):
            np.add.at(sums[one], places[one], rows[one])
            np.add.at(counts[one], places[one], 1)
        return sums / counts


class NumpySession:
    """Runs the network anew at every call."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self._network = network
        self._weights = weights

    def __call__(self, **inputs: Array) -> npt.NDArray[np.float32]:
        return self.run(**inputs)[0]

    def run(self, **inputs: Array) -> tuple[npt.NDArray[np.float32], ...]:
        found = self._network.results(NumpyOps(), self._weights, inputs)
        return tuple(np.asarray(output, np.float32) for output in found)

    def close(self) -> None:
        pass


class NumpyEngine:
    """The reference engine. Always available; float32 only."""

    name = "numpy"
    precisions = ("f32",)

    def compile(
        self, network: Network, weights: Weights, precision: str = "f32", threads: int | None = None
    ) -> NumpySession:
        return NumpySession(network, weights)


def _normalized(x: Array, eps: float) -> Array:
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + np.float32(eps)))


def _attended(query: Array, key: Array, value: Array, causal: bool) -> Array:
    """One head: query (n, d), key and value (m, d) -> (n, d)."""
    scores = query @ key.T / math.sqrt(query.shape[-1])
    if causal:
        scores = np.where(np.tri(*scores.shape) > 0, scores, -np.inf)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray((scores / scores.sum(axis=-1, keepdims=True)) @ value)


def _heads_first(x: Array, heads: int) -> Array:
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def _sigmoid(x: Array) -> Array:
    # Written with tanh, which does not overflow for large negative x.
    return np.asarray(np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1)))
