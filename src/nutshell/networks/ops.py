"""The vocabulary that every network is written in.

`Ops[T]` is a set of operations over some value type T. An interpreter gives T a meaning: a NumPy array
that is computed at once, a node of an OpenVINO or ONNX graph, or a bare shape whose cost is added up.
Networks know only this protocol, so one definition serves all of them.

Conventions: pictures and latents are (batch, channels, height, width), sequences are
(batch, length, width). Stored tensors (`Tensor`) enter only through the operations that name them, so
an interpreter may keep them mapped, convert them, or wrap them in quantizers. Every shape is static.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.errors import Shape
from nutshell.weights import Tensor, Weights

if TYPE_CHECKING:
    from nutshell.networks.strips import Strips

T = TypeVar("T")

# Rows and columns added before and after: (top, left, bottom, right).
Padding = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Int8Weight:
    """A stored weight to be taken in eight bits: int8 values times one scale per output channel (axis 0).

    quantize(stored) -> values int8 of its shape, scales float32 (out,). It is called when an interpreter
    needs the values and not before: pricing a network reads no weight.
    """

    stored: Tensor
    quantize: Callable[[Tensor], tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]]

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def shape(self) -> Shape:
        return self.stored.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.stored.size

    @property
    def nbytes(self) -> int:
        """One byte for each value, four for each scale."""
        return self.size + 4 * self.shape[0]

    def read(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        """The values, and the scales in a shape that multiplies them."""
        values, scales = self.quantize(self.stored)
        return values, scales.reshape(-1, *(1,) * (values.ndim - 1))

    def f32(self) -> npt.NDArray[np.float32]:
        """What the eight bits stand for."""
        values, scales = self.read()
        return values * scales


Weight = Tensor | Int8Weight


# A row shorter than this has no direction to compare.
UNIT_EPS = 1e-6


def others(n: int, targets: Sequence[int]) -> list[int]:
    """Of n rows those that are no target, in their order."""
    taken = set(targets)
    return [place for place in range(n) if place not in taken]


@dataclass(frozen=True)
class Match(Generic[T]):
    """Which of n rows are merged into which. Every value holds whole numbers, which only `Ops` understands.

    kept (batch, n - count): the rows that stay, by their places; first the targets, in their order. merged
    (batch, count): those that go. into (batch, count): for each of `merged` the place in `kept` of the target that
    takes it up. back (batch, n): for each of the n rows the place in `kept` of itself, or of what took it up.
    """

    kept: T
    merged: T
    into: T
    back: T


class Ops(Protocol[T]):
    """Operations of the networks. Activations are float32 in meaning; engines may compute in less."""

    def shape(self, x: T) -> Shape:
        """The static shape of a value."""
        ...

    # -- with stored weights ------------------------------------------------------------------------
    def conv2d(self, x: T, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> T:
        """2-D cross-correlation; weight (out, in, kernel, kernel), zero padding."""
        ...

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        """x @ weight.T + bias over the last axis; weight (out, in), as PyTorch stores it."""
        ...

    def parameter(self, tensor: Tensor) -> T:
        """A stored tensor as a value (a position table)."""
        ...

    def group_norm(self, x: T, weight: Tensor, bias: Tensor, groups: int, eps: float) -> T:
        """Group normalization over (batch, channels, ...) (Wu and He 2018, arXiv:1803.08494)."""
        ...

    def layer_norm(self, x: T, weight: Tensor, bias: Tensor, eps: float) -> T:
        """Layer normalization over the last axis (Ba et al. 2016, arXiv:1607.06450)."""
        ...

    # -- precision ----------------------------------------------------------------------------------
    def fake_quantize(self, x: T, scale: float, zero_point: int) -> T:
        """x as eight bits can hold it: scale * (q - zero_point), q = round(x / scale) + zero_point in 0..255.

        Ties round to even. Before a `conv2d` or `linear` with an `Int8Weight`, an engine may compute in int8.
        """
        ...

    # -- attention ----------------------------------------------------------------------------------
    def attention(self, query: T, key: T, value: T, heads: int, causal: bool) -> T:
        """softmax(q k^T / sqrt(d)) v per head, d = width / heads (Vaswani et al. 2017).

        query (batch, n, width); key, value (batch, m, width) -> (batch, n, width).
        `causal`: position i sees keys 0..i only.
        """
        ...

    # -- element by element -------------------------------------------------------------------------
    def silu(self, x: T) -> T:
        """x * sigmoid(x)."""
        ...

    def gelu(self, x: T) -> T:
        """The exact form, x/2 * (1 + erf(x / sqrt 2))."""
        ...

    def quick_gelu(self, x: T) -> T:
        """x * sigmoid(1.702 x), as in OpenAI's CLIP."""
        ...

    def relu(self, x: T) -> T: ...

    def tanh(self, x: T) -> T: ...

    def add(self, a: T, b: T) -> T:
        """Sum, with NumPy's broadcasting."""
        ...

    def multiply(self, a: T, b: T) -> T:
        """Product, with NumPy's broadcasting."""
        ...

    def affine(self, x: T, scale: float, shift: float = 0.0) -> T:
        """scale * x + shift."""
        ...

    # -- shape --------------------------------------------------------------------------------------
    def reshape(self, x: T, shape: Shape) -> T: ...

    def transpose(self, x: T, axes: Sequence[int]) -> T: ...

    def concat(self, parts: Sequence[T], axis: int) -> T: ...

    def slice(self, x: T, axis: int, start: int, stop: int) -> T:
        """Elements [start, stop) along one axis."""
        ...

    def upsample(self, x: T, height: int, width: int) -> T:
        """Nearest neighbour to (height, width): source row = floor(row * old / new)."""
        ...

    # -- rows that are chosen by what they hold -------------------------------------------------------
    def match(self, x: T, targets: Sequence[int], count: int) -> Match[T]:
        """Choose `count` rows of x (batch, n, width) that are most like one of the rows `targets`, by cosine.

        Bipartite soft matching (Bolya et al. 2022, arXiv:2210.09461, section 3.1): each row that is no target looks
        for its nearest target; the `count` with the nearest are to be merged into them.
        """
        ...

    def take_rows(self, x: T, places: T) -> T:
        """Rows of x (batch, n, width) by a value of `Match` (batch, m) -> (batch, m, width)."""
        ...

    def mean_rows(self, x: T, places: T, rows: T) -> T:
        """x (batch, n, width), each row the mean of itself and of all `rows` (batch, m, width) meant for its place.

        places (batch, m): a value of `Match`.
        """
        ...


@dataclass(frozen=True)
class Input:
    """One input of a network: its static shape and whether it holds integers (token ids, int64)."""

    shape: Shape
    integer: bool = False


@dataclass(frozen=True)
class Network:
    """A network bound to its configuration and input shapes, ready for any interpreter.

    `run(ops, weights, inputs)` returns the output value, or a tuple of them where `outputs` names several. part: whose
    weights it reads and what it does ("vae_decoder"). name: that, with any setting that changes the graph
    ("text_encoder 11 layers"). strips: how it runs in less memory, strip by strip; None where it cannot or need not.
    int8_attention: whether its attention is wanted in eight bits, where there are scales.
    """

    part: str
    name: str
    inputs: Mapping[str, Input]
    run: Callable[[Ops[Any], Weights, Mapping[str, Any]], Any]
    outputs: tuple[str, ...] = ("output",)
    strips: Strips | None = None
    int8_attention: bool = False

    def results(self, ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run it: its outputs in the order of their names."""
        found = self.run(ops, weights, inputs)
        return found if len(self.outputs) > 1 else (found,)
