"""Watching a network run: the distribution of every linear and convolution input, and what lies around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.errors import EngineError, Shape
from nutshell.language import tr
from nutshell.networks.ops import Int8Weight, Network, Ops, Padding, Weight
from nutshell.quantization.attention import AttentionSeen, Makers
from nutshell.quantization.histogram import Histogram
from nutshell.quantization.norms import NormSeen
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Quantized, Tensor, Weights

T = TypeVar("T")


@dataclass
class Seen:
    """One layer: the shape of its weight, and the distribution of every input value it was given so far."""

    weight: Shape
    inputs: Histogram = field(default_factory=Histogram)

    @property
    def convolution(self) -> bool:
        """Or else a linear, whose weight has two axes."""
        return len(self.weight) == 4


# By name of the layer, in the order in which layers first ran.
Record = dict[str, Seen]


@dataclass
class Around:
    """What is noted beside the layers, if it is asked for.

    norms: by name, of layer norms that linears are behind. attention: by the name of the linear that makes the queries.
    """

    norms: dict[str, NormSeen] = field(default_factory=dict)
    attention: dict[str, AttentionSeen] = field(default_factory=dict)

    def merge(self, other: Around) -> None:
        """Take in everything that `other` has noted."""
        for name, norm in other.norms.items():
            self.norms.setdefault(name, NormSeen()).merge(norm)
        for name, seen in other.attention.items():
            known = self.attention.setdefault(name, AttentionSeen())
            known.query.merge(seen.query)
            known.key.merge(seen.key)


class Observe(Wrapper[T]):
    """`Ops[T]` that notes in `record` what each linear and convolution is given.

    `ops` must compute at once: NumPy, or PyTorch on any device. A norm is taken to be followed by linears alone where
    one is directly behind it, which holds for every network here: see the test of `migrated`.
    """

    def __init__(self, ops: Ops[T], record: Record, names: Names, around: Around | None = None) -> None:
        super().__init__(ops)
        self._record = record
        self._names = names
        self._around = around
        self._norm: tuple[T, str] | None = None  # The latest norm's output and name.
        self._makers: Makers[T] = Makers()

    def conv2d(self, x: T, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> T:
        self._see(weight, x)
        return super().conv2d(x, weight, bias, stride, padding)

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        values = self._see(weight, x)
        if self._around is not None and self._norm is not None and x is self._norm[0] and values is not None:
            self._see_norm(self._around, self._norm[1], weight, values)
        out = super().linear(x, weight, bias)
        self._makers.note(out, self._name(weight))
        return out

    def layer_norm(self, x: T, weight: Tensor, bias: Tensor, eps: float) -> T:
        out = super().layer_norm(x, weight, bias, eps)
        self._norm = out, self._name(weight)
        return out

    def attention(self, query: T, key: T, value: T, heads: int, causal: bool) -> T:
        name = self._makers.of(query)
        if self._around is not None and name is not None:
            seen = self._around.attention.setdefault(name, AttentionSeen())
            for histogram, given in ((seen.query, query), (seen.key, key)):
                values = values_of(given)
                if values is not None:
                    histogram.add(_finite(values, name))
        return super().attention(query, key, value, heads, causal)

    def _name(self, weight: Weight) -> str:
        stored = weight.stored if isinstance(weight, Int8Weight) else weight
        return self._names.get(stored, stored.name)

    def _see(self, weight: Weight, x: T) -> npt.NDArray[np.float32] | None:
        name, values = self._name(weight), values_of(x)
        if values is not None:
            self._record.setdefault(name, Seen(weight.shape)).inputs.add(_finite(values, name))
        return values

    def _see_norm(self, around: Around, norm: str, weight: Weight, values: npt.NDArray[np.float32]) -> None:
        seen, name = around.norms.setdefault(norm, NormSeen()), self._name(weight)
        if name not in seen.linears:
            seen.linears.append(name)
        stored = weight.stored if isinstance(weight, Int8Weight) else weight
        seen.storable &= not isinstance(stored, Quantized)
        if name == seen.linears[0]:
            # The others are given the same.
            seen.add(values)


def observed(network: Network, record: Record, around: Around | None = None) -> Network:
    """`network`, noting its layers' inputs in `record` whenever it runs. For the engines "numpy" and "torch".

    around: where to note what lies around the layers; None not to.
    """

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        return network.run(Observe(ops, record, layer_names(weights), around), weights, inputs)

    return replace(network, run=run)


def _finite(values: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    """The same. Raises EngineError where one is not finite."""
    if not np.isfinite(values).all():
        raise EngineError(
            tr("the input of {name} is not finite, so it has no scale", name=name), tr("calibrate in float32")
        )
    return values


def values_of(x: Any) -> npt.NDArray[np.float32] | None:
    """An interpreter's value as an array; None from PyTorch's dry run over bare shapes.

    Raises EngineError for a node of a graph, which holds none.
    """
    if isinstance(x, np.ndarray):
        return x.astype(np.float32, copy=False)
    # A PyTorch tensor, which is not imported for this.
    if hasattr(x, "detach"):
        return None if x.device.type == "meta" else np.asarray(x.detach().float().cpu().numpy())
    raise EngineError(
        tr("a {name} holds no values to observe", name=type(x).__name__),
        tr("calibrate with the engine numpy or torch, which compute"),
    )
