"""Eight bits in linears and convolutions: their inputs quantized by given scales, their weights on the way in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.networks.ops import Int8Weight, Network, Ops, Padding, Weight
from nutshell.quantization.migrate import Migrate, Migrations, in_use, refuse_unknown
from nutshell.quantization.observe import Record
from nutshell.quantization.scales import FULL_WEIGHT, Scales, clipped, int8_rows
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Tensor, Weights

T = TypeVar("T")

# Told of the bytes of each stored weight once its eight bits are made: so the pages of its file can go.
After = Callable[[int], None]

# Channels. Engines compute sixteen or more at once, so fewer would not gain from eight bits either.
_THIN = 16

# The 1x1 convolutions around a residual block, as AutoencoderKL and the UNet call them, and AutoencoderTiny.
_SHORTCUTS = ("conv_shortcut", "skip")


class Int8(Wrapper[T]):
    """`Ops[T]` that puts every layer it has a scale for into eight bits; the others stay as they are."""

    def __init__(
        self,
        ops: Ops[T],
        scales: Scales,
        names: Names,
        largest_weight: int = FULL_WEIGHT,
        after: After | None = None,
    ) -> None:
        super().__init__(ops)
        self._scales = scales
        self._names = names
        self._round_weight = rounding(largest_weight, after)

    def conv2d(self, x: T, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> T:
        x, weight = self._quantized(x, weight)
        return super().conv2d(x, weight, bias, stride, padding)

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        x, weight = self._quantized(x, weight)
        return super().linear(x, weight, bias)

    def _quantized(self, x: T, weight: Weight) -> tuple[T, Weight]:
        if isinstance(weight, Int8Weight):
            return x, weight
        scale = self._scales.get(self._names.get(weight, weight.name))
        if scale is None:
            return x, weight
        return self.ops.fake_quantize(x, scale.scale, scale.zero_point), Int8Weight(weight, self._round_weight)


def rounding(
    largest_weight: int, after: After | None = None
) -> Callable[[Tensor], tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]]:
    """What `Int8Weight` quantizes by. Only one weight at a time is ever widened to float32."""

    def rounded(stored: Tensor) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        made = int8_rows(stored, largest_weight)
        if after is not None:
            after(stored.nbytes)
        return made

    return rounded


_NONE: Migrations = {}


def quantized(
    network: Network,
    scales: Scales,
    largest_weight: int = FULL_WEIGHT,
    after: After | None = None,
    migrations: Migrations = _NONE,
) -> Network:
    """`network` with every layer that has a scale in eight bits, for any engine.

    scales: also of layers that the model has and this network does not run (an encoder's, for the
    decoder). largest_weight: SAFE_WEIGHT on an x86 processor without VNNI, where full weights give
    wrong sums. after: told of each weight's stored bytes. migrations: with which `scales` were found; those
    are made that a layer in eight bits is behind. Running it raises UnsupportedModel over weights that lack
    a layer of `scales`.
    """
    moved = in_use(migrations, scales)

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        names = layer_names(weights)
        refuse_unknown({*scales, *moved, *(name for each in moved.values() for name in each.linears)}, names, weights)
        inner = Migrate(ops, moved, names) if moved else ops
        return network.run(Int8(inner, scales, names, largest_weight, after), weights, inputs)

    return replace(network, name=f"{network.name} int8", run=run)


def scales_of(record: Record, keep: Collection[str] | None = None) -> Scales:
    """A scale for each layer of a record, except those to keep: by default the `delicate` ones.

    A layer that was given nothing but zeros is kept too, for want of a scale. Raises UsageError for a
    name to keep that is not in the record.
    """
    kept = frozenset(delicate(record) if keep is None else keep)
    unknown = sorted(kept - record.keys())
    if unknown:
        raise UsageError(
            tr("no layer is called {unknown!r}", unknown=unknown[0]),
            tr("layers are called as in the checkpoint, less .weight"),
        )
    return {
        name: clipped(seen.inputs)
        for name, seen in record.items()
        if name not in kept and (seen.inputs.minimum, seen.inputs.maximum) != (0, 0)
    }


def delicate(record: Record) -> frozenset[str]:
    """The layers to keep: cheap ones from which eight bits take most.

    The first and the last convolution and any from or to fewer than 16 channels see or make the picture
    or latent itself: kept, they bring the built-in decoder 2 to 5 dB nearer to float32. Shortcuts see
    what no norm has evened out, and hand it on: kept, they bring 2 to 3 dB there and 5 to 9 in the
    built-in denoiser, at the same speed.
    """
    convolutions = [name for name, seen in record.items() if seen.convolution]
    thin = (name for name in convolutions if min(record[name].weight[:2]) < _THIN)
    shortcuts = (name for name in convolutions if name.rpartition(".")[2] in _SHORTCUTS)
    return frozenset((*convolutions[:1], *convolutions[-1:], *thin, *shortcuts))
