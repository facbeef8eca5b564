"""Scale migration: what is hard to round in a layer norm's output is moved into the weights behind it.

Of a layer norm's output a few channels may be far larger than all others, and one scale for all leaves the others few
steps. Divided by a factor for each channel they come even; the weights of the linears behind are multiplied by it, so
the product stays the same (SmoothQuant, Xiao et al. 2022, arXiv:2211.10438). The norm's own weight and bias take the
division: nothing is computed at run time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.errors import UnsupportedModel
from nutshell.language import tr
from nutshell.networks.ops import Int8Weight, Network, Ops, Weight
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Quantized, Tensor, Weights

T = TypeVar("T")
F32 = npt.NDArray[np.float32]

# Factors are powers of the fourth root of two: within 9% of any, and a byte each.
STEPS_OF_AN_OCTAVE = 4
LARGEST_STEP = 63


@dataclass(frozen=True)
class Migration:
    """linears: behind the norm. steps: for each channel, of which factor it is divided by: 2 ** (step / 4)."""

    linears: tuple[str, ...]
    steps: tuple[int, ...]

    @property
    def factors(self) -> F32:
        """By which the norm's output is divided and the weights are multiplied, (channels,)."""
        return np.asarray(np.exp2(np.array(self.steps, np.float32) / np.float32(STEPS_OF_AN_OCTAVE)), np.float32)

    @staticmethod
    def near(linears: Collection[str], factors: npt.NDArray[Any]) -> Migration:
        """The one whose factors are nearest to these."""
        steps = np.rint(STEPS_OF_AN_OCTAVE * np.log2(factors)).clip(-LARGEST_STEP, LARGEST_STEP)
        return Migration(tuple(linears), tuple(int(step) for step in steps))


# By name of the layer norm.
Migrations = Mapping[str, Migration]


@dataclass(frozen=True, eq=False)
class Times(Tensor):
    """A stored tensor times factors along its last axis, in float32. It is multiplied when it is read, each time."""

    stored: Tensor | None = None
    factors: F32 | None = None

    @staticmethod
    def of_stored(stored: Tensor, factors: F32) -> Times:
        """Raises UnsupportedModel if there are not as many factors as the last axis is long."""
        if stored.shape[-1:] != factors.shape:
            raise UnsupportedModel(
                tr("{name} does not fit the calibration card's factors", name=stored.name),
                tr("they were made for another model: calibrate this one"),
            )
        # The place of the stored bytes: by it engines know a tensor again, and no network takes both.
        return Times(stored.name, "F32", stored.shape, stored.data, stored.offset, stored, factors)

    def array(self) -> npt.NDArray[Any]:
        assert self.stored is not None
        assert self.factors is not None
        return np.asarray(self.stored.f32() * self.factors, np.float32)

    def f32(self) -> F32:
        return self.array()

    def plain(self) -> Tensor:
        return Tensor.of(self.name, self.array())

    def reshape(self, *shape: int) -> Tensor:
        return self.plain().reshape(*shape)

    def rows(self, start: int, stop: int) -> Tensor:
        return self.plain().rows(start, stop)


class Migrate(Wrapper[T]):
    """`Ops[T]` whose layer norms and the linears behind them carry the factors of their migrations."""

    def __init__(self, ops: Ops[T], migrations: Migrations, names: Names) -> None:
        super().__init__(ops)
        self._norms = {norm: np.float32(1) / moved.factors for norm, moved in migrations.items()}
        self._linears = {name: moved.factors for moved in migrations.values() for name in moved.linears}
        self._names = names

    def layer_norm(self, x: T, weight: Tensor, bias: Tensor, eps: float) -> T:
        factors = self._norms.get(self._names.get(weight, weight.name))
        if factors is not None:
            weight, bias = Times.of_stored(weight, factors), Times.of_stored(bias, factors)
        return super().layer_norm(x, weight, bias, eps)

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        return super().linear(x, self._moved(weight), bias)

    def _moved(self, weight: Weight) -> Weight:
        stored = weight.stored if isinstance(weight, Int8Weight) else weight
        factors = self._linears.get(self._names.get(stored, stored.name))
        if factors is None:
            return weight
        if isinstance(weight, Int8Weight):
            if isinstance(stored, Quantized):
                raise UnsupportedModel(
                    tr("{name} is stored in eight bits and cannot take a factor", name=stored.name),
                    tr("they were made for another model: calibrate this one"),
                )
            return replace(weight, stored=Times.of_stored(stored, factors))
        return Times.of_stored(stored, factors)


def in_use(migrations: Migrations, layers: Collection[str]) -> dict[str, Migration]:
    """Those behind which at least one linear is among `layers`; the others would change nothing."""
    return {norm: moved for norm, moved in migrations.items() if any(name in layers for name in moved.linears)}


def migrated(network: Network, migrations: Migrations) -> Network:
    """`network` with every migration made, computing as before. Running it raises UnsupportedModel over weights that
    lack a layer of `migrations`."""

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        names = layer_names(weights)
        refuse_unknown({name for norm, moved in migrations.items() for name in (norm, *moved.linears)}, names, weights)
        return network.run(Migrate(ops, migrations, names), weights, inputs)

    return replace(network, name=f"{network.name} migrated", run=run)


def refuse_unknown(layers: Collection[str], names: Names, weights: Weights) -> None:
    """Raise UnsupportedModel where weights lack one of `layers`."""
    unknown = sorted(set(layers) - set(names.values()))
    if unknown:
        raise UnsupportedModel(
            tr(
                "there are scales for {count} layers that {part} does not have, such as {unknown}",
                count=len(unknown),
                part=weights.part,
                unknown=unknown[0],
            ),
            tr("they were made for another model: calibrate this one"),
        )
