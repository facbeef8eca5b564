"""Weights in eight or four bits on disk: a smaller file, read by Nutshell as it lies; or rounded numbers, to compare.

What stays as it is: everything but the weights of linears and convolutions; layers from or to fewer than 16 channels,
which see or make the latent itself and are small; tables of tokens and positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.compress.job import Json, PartPlan
from nutshell.compress.numbers import F32, FLOATS, stored_as
from nutshell.compress.original import Stored, refuse_quantized
from nutshell.compress.tensor_file import Made, Piece, Row
from nutshell.errors import CorruptFile, UsageError
from nutshell.language import tr
from nutshell.weights import Tensor
from nutshell.weights.quantized import SCALE, packed

BITS = ("int8", "int4")
GROUPS = (32, 64, 128)
_LARGEST = {"int8": 127, "int4": 7}
_WHY = {
    "int8": tr("its weights are stored as int8 and scales"),
    "int4": tr("its weights are stored as int4 and scales"),
}
_THIN = 16
_LEAST = np.finfo(np.float16).tiny  # the least scale that float16 holds well


@dataclass(frozen=True)
class Quantize:
    """bits: of BITS. per_tensor: one scale for a weight of eight bits, not one for each output channel.

    group: inputs that share a scale in four bits, at most; the largest even divisor of a layer's inputs that fits.
    dequantized: write the rounded numbers in float16, a normal model that diffusers opens. parts: which to round.
    """

    bits: str = "int8"
    per_tensor: bool = False
    group: int = 64
    dequantized: bool = False
    parts: Sequence[str] = ("text_encoder", "unet")

    action = "quantize"

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise UsageError(tr("there is no storage {bits!r}", bits=self.bits), tr("int8 or int4"))
        if self.bits == "int4" and self.per_tensor:
            raise UsageError(tr("four bits have a scale for each group of inputs"), tr("leave --per-tensor out"))
        if self.group not in GROUPS:
            raise UsageError(
                tr("a group cannot have {group} inputs", group=self.group),
                tr("known: {names}", names=", ".join(map(str, GROUPS))),
            )

    @property
    def parameters(self) -> Mapping[str, Any]:
        scales = {"group": self.group} if self.bits == "int4" else {"per": "tensor" if self.per_tensor else "channel"}
        said: dict[str, Any] = {"bits": self.bits, **scales, "parts": list(self.parts)}
        return {**said, "dequantized": True} if self.dequantized else said

    @property
    def only_nutshell(self) -> str:
        return "" if self.dequantized else _WHY[self.bits]

    def plan(self, part: str, config: Json, stored: Stored) -> PartPlan:
        refuse_quantized(stored)
        pieces = []
        for tensor in stored.tensors.values():
            if self._fits(tensor):
                pieces.append(Piece(tensor.name, tensor.nbytes + 4 * tensor.shape[0], partial(self._made, tensor)))
            else:
                pieces.append(Piece(tensor.name, tensor.nbytes, partial(Made.of, tensor)))
        return PartPlan(config, pieces)

    def results(self, rows: Mapping[str, Sequence[Row]]) -> Mapping[str, Any]:
        """The share of the weights' energy that rounding changed, over all that were rounded."""
        changed, whole, layers = 0.0, 0.0, 0
        for row in (row for part in self.parts for row in rows.get(part, ()) if row.note):
            changed, whole, layers = changed + row.note["error"], whole + row.note["energy"], layers + 1
        return {"layers": layers, "relative_error": float(f"{(changed / whole) ** 0.5 if whole else 0.0:.4g}")}

    def _fits(self, tensor: Tensor) -> bool:
        if len(tensor.shape) < 2 or not tensor.name.endswith(".weight") or tensor.dtype not in FLOATS:
            return False
        thin = min(tensor.shape[:2]) < _THIN or tensor.name.endswith("embedding.weight")
        return not thin and (self.bits == "int8" or tensor.shape[1] % 2 == 0)

    def _made(self, tensor: Tensor) -> Made:
        values = tensor.f32()
        if not np.isfinite(values).all():
            raise CorruptFile(
                tr("{name} holds values that are not finite", name=tensor.name), tr("download the model again")
            )
        if self.bits == "int8":
            integers, scales = int8(values, self.per_tensor)
            widened = integers * scales.reshape(-1, *(1,) * (values.ndim - 1))
        else:
            integers, scales = int4(values, self.group)
            widened = _spread(scales, values.shape[1]) * integers
        note = {"error": _energy(widened - values), "energy": _energy(values)}
        if self.dequantized:
            return Made([(tensor.name, "F16", stored_as("F16", widened))], note)
        name = f"{tensor.name}{SCALE}"
        if self.bits == "int8":
            return Made([(name, "F32", scales), (tensor.name, "I8", integers)], note)
        return Made([(name, "F16", stored_as("F16", scales)), (tensor.name, "U8", packed(integers))], note)


def int8(values: F32, per_tensor: bool) -> tuple[npt.NDArray[np.int8], F32]:
    """A weight (out, ...) as -127..127, and its scales: (1,) or (out,). Symmetric, up to the largest value."""
    rows = values.reshape(1 if per_tensor else len(values), -1)
    scales = _scales(np.abs(rows).max(axis=1), _LARGEST["int8"], np.float32(np.finfo(np.float32).tiny))
    integers = np.clip(np.rint(rows / scales[:, None]), -_LARGEST["int8"], _LARGEST["int8"])
    return integers.astype(np.int8).reshape(values.shape), scales


def int4(values: F32, group: int) -> tuple[npt.NDArray[np.int8], F32]:
    """A weight (out, in, ...) as -7..7, and its scales (out, groups, ...), which float16 holds exactly."""
    size = group_size(values.shape[1], group)
    grouped = values.reshape(len(values), -1, size, *values.shape[2:])
    scales = _scales(np.abs(grouped).max(axis=2), _LARGEST["int4"], np.float32(_LEAST))
    scales = scales.astype(np.float16).astype(np.float32)
    integers = np.clip(np.rint(grouped / scales[:, :, None]), -_LARGEST["int4"], _LARGEST["int4"])
    return integers.astype(np.int8).reshape(values.shape), scales


def group_size(inputs: int, most: int) -> int:
    """The largest divisor of `inputs` that is at most `most`, so that no group is shorter than the others."""
    return next(size for size in range(min(most, inputs), 0, -1) if inputs % size == 0)


def _energy(values: F32) -> float:
    """The sum of squares, without another array as large."""
    flat = values.reshape(-1)
    return float(np.dot(flat, flat))


def _scales(reach: F32, largest: int, least: np.float32) -> F32:
    """A run of zeros, or as good as: its scale must not vanish."""
    scales = reach / np.float32(largest)
    return np.where(scales < least, np.float32(1), scales).astype(np.float32)


def _spread(scales: F32, inputs: int) -> F32:
    """A scale for every input."""
    return np.repeat(scales, inputs // scales.shape[1], axis=1)
