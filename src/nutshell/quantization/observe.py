"""Watching a network run: the distribution of every linear and convolution input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.errors import EngineError, Shape
from nutshell.language import tr
from nutshell.networks.ops import Int8Weight, Network, Ops, Padding, Weight
from nutshell.quantization.histogram import Histogram
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Tensor, Weights

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


class Observe(Wrapper[T]):
    """`Ops[T]` that notes in `record` what each linear and convolution is given.

    `ops` must compute at once: NumPy, or PyTorch on any device.
    """

    def __init__(self, ops: Ops[T], record: Record, names: Names) -> None:
        super().__init__(ops)
        self._record = record
        self._names = names

    def conv2d(self, x: T, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> T:
        self._see(weight, x)
        return super().conv2d(x, weight, bias, stride, padding)

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        self._see(weight, x)
        return super().linear(x, weight, bias)

    def _see(self, weight: Weight, x: T) -> None:
        stored = weight.stored if isinstance(weight, Int8Weight) else weight
        name = self._names.get(stored, stored.name)
        values = values_of(x)
        if values is None:
            return
        if not np.isfinite(values).all():
            raise EngineError(
                tr("the input of {name} is not finite, so it has no scale", name=name), tr("calibrate in float32")
            )
        self._record.setdefault(name, Seen(weight.shape)).inputs.add(values)


def observed(network: Network, record: Record) -> Network:
    """`network`, noting its layers' inputs in `record` whenever it runs. For the engines "numpy" and "torch"."""

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        return network.run(Observe(ops, record, layer_names(weights)), weights, inputs)

    return replace(network, run=run)


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
