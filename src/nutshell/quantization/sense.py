"""How much each layer loses by eight bits: its output in float32 against that in eight bits, on the same input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.networks.ops import Int8Weight, Network, Ops, Padding, Weight
from nutshell.quantization.int8 import rounding
from nutshell.quantization.migrate import Migrations, Times
from nutshell.quantization.observe import values_of
from nutshell.quantization.scales import FULL_WEIGHT, Scales
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Tensor, Weights

T = TypeVar("T")

# What is as good as equal; a card must hold a number.
MOST_DB = 150.0


@dataclass
class Noise:
    """Summed over outputs so far: squares about the mean, and squared differences to the eight-bit output."""

    signal: float = 0.0
    error: float = 0.0

    @property
    def db(self) -> float:
        """Signal over error, within -MOST_DB..MOST_DB."""
        return decibels(self.signal, self.error)


# By name of the layer.
Noises = dict[str, Noise]


def decibels(signal: float, error: float) -> float:
    """10 log10(signal / error), within -MOST_DB..MOST_DB."""
    if error <= 0:
        return MOST_DB
    if signal <= 0:
        return -MOST_DB
    return min(MOST_DB, max(-MOST_DB, 10 * math.log10(signal / error)))


@dataclass(frozen=True)
class Factor:
    """Of one linear's inputs. inverse: for the input; values: for the weight."""

    inverse: Tensor
    values: npt.NDArray[np.float32]


# By name of the linear.
Factors = Mapping[str, Factor]


class Sense(Wrapper[T]):
    """`Ops[T]` that hands on float32, and beside each layer with a scale runs it in eight bits to compare.

    `ops` must compute at once: NumPy, or PyTorch on any device.
    """

    def __init__(self, ops: Ops[T], scales: Scales, noises: Noises, names: Names, factors: Factors) -> None:
        super().__init__(ops)
        self._factors = factors
        self._scales = scales
        self._noises = noises
        self._names = names
        self._round_weight = rounding(FULL_WEIGHT)

    def conv2d(self, x: T, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> T:
        out = super().conv2d(x, weight, bias, stride, padding)
        if (eight := self._in_eight_bits(x, weight)) is not None:
            name, rounded, small = eight
            self._note(name, out, super().conv2d(rounded, small, bias, stride, padding))
        return out

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        out = super().linear(x, weight, bias)
        if (eight := self._in_eight_bits(x, weight)) is not None:
            name, rounded, small = eight
            self._note(name, out, super().linear(rounded, small, bias))
        return out

    def _in_eight_bits(self, x: T, weight: Weight) -> tuple[str, T, Int8Weight] | None:
        """A layer's name, and its input and weight in eight bits; None for one without a scale."""
        stored = weight.stored if isinstance(weight, Int8Weight) else weight
        name = self._names.get(stored, stored.name)
        scale = self._scales.get(name)
        if scale is None:
            return None
        factors = self._factors.get(name)
        if factors is not None:
            # What the norm before would do.
            x = self.ops.multiply(x, self.ops.parameter(factors.inverse))
            stored = Times.of_stored(stored, factors.values)
        return name, self.ops.fake_quantize(x, scale.scale, scale.zero_point), Int8Weight(stored, self._round_weight)

    def _note(self, name: str, full: T, small: T) -> None:
        wanted, got = values_of(full), values_of(small)
        if wanted is None or got is None:
            return
        noise = self._noises.setdefault(name, Noise())
        noise.signal += float(wanted.var(dtype=np.float64)) * wanted.size
        noise.error += float(np.square(got - wanted).sum(dtype=np.float64))


_NONE: Migrations = {}


def sensed(network: Network, scales: Scales, noises: Noises, migrations: Migrations = _NONE) -> Network:
    """`network`, noting in `noises` what eight bits would cost each layer that has a scale. For "numpy" and "torch".

    migrations: with which the scales were found.
    """
    factors = {
        name: Factor(Tensor.of(norm, 1 / moved.factors), moved.factors)
        for norm, moved in migrations.items()
        for name in moved.linears
    }

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        return network.run(Sense(ops, scales, noises, layer_names(weights), factors), weights, inputs)

    return replace(network, run=run)
