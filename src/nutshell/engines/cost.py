"""The cost interpreter: runs a network over bare shapes and adds up what it would take.

Nothing is computed and no weight is read, so a full-size denoiser is priced in milliseconds. The
planner asks it; the weight account runs over it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nutshell.errors import Shape
from nutshell.networks.ops import Match, Network, Padding, Weight
from nutshell.weights import Tensor, Weights

# Bytes of one activation value, and of one in eight bits.
_VALUE_BYTES = 4
_INT8_BYTES = 1


@dataclass(frozen=True)
class Cost:
    """What one pass takes.

    operations: floating-point operations, a multiply-add counted as two. weight_bytes: as stored, each
    tensor once. parameters: stored values; linear_parameters: those of them in the weights of linears.
    peak_activation_bytes: the most that is alive at once in float32 (a quantized value in one byte), freed after last
    use, attention scores not counted (engines fuse them). nodes: of the graph, inputs included.
    """

    operations: int
    weight_bytes: int
    parameters: int
    peak_activation_bytes: int
    nodes: int
    linear_parameters: int = 0


@dataclass(frozen=True, eq=False)
class Shaped:
    """A value of which only the shape is known, and its place on the tape."""

    shape: Shape
    index: int


class CostOps:
    """`Ops[Shaped]` that keeps a tape of results and which results each needed."""

    def __init__(self) -> None:
        self.operations = 0
        self.weights: dict[str, Weight] = {}
        self.linears: dict[str, Weight] = {}
        self._bytes: list[int] = []
        self._last_use: list[int] = []

    def value(self, shape: Shape) -> Shaped:
        """A new input value."""
        return self._emit(shape, ())

    @property
    def nodes(self) -> int:
        """Values that were made, those of the inputs among them."""
        return len(self._bytes)

    def all_bytes(self) -> int:
        """Of all values together: what a backward pass keeps, at most."""
        return sum(self._bytes)

    def peak_bytes(self) -> int:
        """Most bytes alive at once when every value is freed after its last use."""
        alive = peak = 0
        dying: dict[int, int] = {}
        for index, size in enumerate(self._bytes):
            alive += size
            peak = max(peak, alive)
            dying[self._last_use[index]] = dying.get(self._last_use[index], 0) + size
            alive -= dying.pop(index, 0)
        return peak

    def shape(self, x: Shaped) -> Shape:
        return x.shape

    def conv2d(self, x: Shaped, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Shaped:
        batch, channels, height, width = x.shape
        out_channels, in_channels, rows, columns = weight.shape
        _agree(weight, channels == in_channels, x.shape)
        top, left, bottom, right = padding
        out_height = (height + top + bottom - rows) // stride + 1
        out_width = (width + left + right - columns) // stride + 1
        out = (batch, out_channels, out_height, out_width)
        self._stored(weight, bias)
        return self._emit(out, (x,), 2 * math.prod(out) * in_channels * rows * columns)

    def linear(self, x: Shaped, weight: Weight, bias: Tensor | None) -> Shaped:
        width, inner = weight.shape
        _agree(weight, x.shape[-1] == inner, x.shape)
        self._stored(weight, bias)
        self.linears[weight.name] = weight
        out = (*x.shape[:-1], width)
        return self._emit(out, (x,), 2 * math.prod(out) * inner)

    def parameter(self, tensor: Tensor) -> Shaped:
        self._stored(tensor)
        return self._emit(tensor.shape, ())

    def group_norm(self, x: Shaped, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Shaped:
        _agree(weight, x.shape[1] % groups == 0, x.shape)
        self._stored(weight, bias)
        return self._emit(x.shape, (x,), 8 * math.prod(x.shape))

    def layer_norm(self, x: Shaped, weight: Tensor, bias: Tensor, eps: float) -> Shaped:
        self._stored(weight, bias)
        return self._emit(x.shape, (x,), 8 * math.prod(x.shape))

    def fake_quantize(self, x: Shaped, scale: float, zero_point: int) -> Shaped:
        return self._emit(x.shape, (x,), 4 * math.prod(x.shape), _INT8_BYTES)

    def attention(self, query: Shaped, key: Shaped, value: Shaped, heads: int, causal: bool) -> Shaped:
        batch, rows, width = query.shape
        scores = batch * rows * key.shape[1]
        return self._emit(query.shape, (query, key, value), 4 * scores * width + 5 * scores * heads)

    def silu(self, x: Shaped) -> Shaped:
        return self._pointwise(x)

    def gelu(self, x: Shaped) -> Shaped:
        return self._pointwise(x)

    def quick_gelu(self, x: Shaped) -> Shaped:
        return self._pointwise(x)

    def relu(self, x: Shaped) -> Shaped:
        return self._pointwise(x)

    def tanh(self, x: Shaped) -> Shaped:
        return self._pointwise(x)

    def add(self, a: Shaped, b: Shaped) -> Shaped:
        return self._broadcast(a, b)

    def multiply(self, a: Shaped, b: Shaped) -> Shaped:
        return self._broadcast(a, b)

    def affine(self, x: Shaped, scale: float, shift: float = 0.0) -> Shaped:
        return self._pointwise(x)

    def reshape(self, x: Shaped, shape: Shape) -> Shaped:
        if math.prod(shape) != math.prod(x.shape):
            raise ValueError(f"cannot reshape {x.shape} to {shape}")
        return self._emit(shape, (x,))

    def transpose(self, x: Shaped, axes: Sequence[int]) -> Shaped:
        return self._emit(tuple(x.shape[axis] for axis in axes), (x,))

    def concat(self, parts: Sequence[Shaped], axis: int) -> Shaped:
        first = parts[0].shape
        total = sum(part.shape[axis] for part in parts)
        return self._emit((*first[:axis], total, *first[axis + 1 :]), parts)

    def slice(self, x: Shaped, axis: int, start: int, stop: int) -> Shaped:
        return self._emit((*x.shape[:axis], stop - start, *x.shape[axis + 1 :]), (x,))

    def upsample(self, x: Shaped, height: int, width: int) -> Shaped:
        return self._emit((*x.shape[:2], height, width), (x,))

    def match(self, x: Shaped, targets: Sequence[int], count: int) -> Match[Shaped]:
        batch, n, width = x.shape
        sources = n - len(targets)
        if not 0 <= count <= sources:
            raise ValueError(f"cannot merge {count} of {sources} rows")
        unit = self._emit(x.shape, (x,), 4 * math.prod(x.shape))
        # The products, and one look at each for the greatest.
        compared = batch * sources * len(targets)
        scores = self._emit((batch, sources, len(targets)), (unit,), (2 * width + 1) * compared)
        sizes = (n - count, count, count, n)
        return Match(*(self._emit((batch, size), (scores,)) for size in sizes))

    def take_rows(self, x: Shaped, places: Shaped) -> Shaped:
        return self._emit((*places.shape, x.shape[-1]), (x, places))

    def mean_rows(self, x: Shaped, places: Shaped, rows: Shaped) -> Shaped:
        return self._emit(x.shape, (x, places, rows), math.prod(rows.shape) + math.prod(x.shape))

    def _pointwise(self, x: Shaped) -> Shaped:
        return self._emit(x.shape, (x,), math.prod(x.shape))

    def _broadcast(self, a: Shaped, b: Shaped) -> Shaped:
        rank = max(len(a.shape), len(b.shape))
        left, right = ((1,) * (rank - len(s)) + s for s in (a.shape, b.shape))
        if any(m != n and 1 not in (m, n) for m, n in zip(left, right, strict=True)):
            raise ValueError(f"cannot combine {a.shape} with {b.shape}")
        out = tuple(max(m, n) for m, n in zip(left, right, strict=True))
        return self._emit(out, (a, b), math.prod(out))

    def _stored(self, *tensors: Weight | None) -> None:
        self.weights.update({tensor.name: tensor for tensor in tensors if tensor is not None})

    def _emit(
        self, shape: Shape, inputs: Sequence[Shaped], operations: int = 0, value_bytes: int = _VALUE_BYTES
    ) -> Shaped:
        index = len(self._bytes)
        self.operations += operations
        self._bytes.append(value_bytes * math.prod(shape))
        self._last_use.append(index)
        for given in inputs:
            self._last_use[given.index] = index
        return Shaped(shape, index)


def price(network: Network, weights: Weights) -> Cost:
    """What one pass of `network` over `weights` takes."""
    ops = CostOps()
    network.results(ops, weights, {name: ops.value(given.shape) for name, given in network.inputs.items()})
    stored = ops.weights.values()
    return Cost(
        operations=ops.operations,
        weight_bytes=sum(tensor.nbytes for tensor in stored),
        parameters=sum(tensor.size for tensor in stored),
        peak_activation_bytes=ops.peak_bytes(),
        nodes=ops.nodes,
        linear_parameters=sum(weight.size for weight in ops.linears.values()),
    )


def _agree(weight: Weight, fits: bool, shape: Shape) -> None:
    if not fits:
        raise ValueError(f"{weight.name} {weight.shape} does not fit an input of {shape}")
