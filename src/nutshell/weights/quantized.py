"""Weights stored in eight or four bits: integers and their scales, side by side in an ordinary safetensors file.

    X.weight         I8  (out, in, ...)                    X.weight         U8   (out, in / 2, ...)
    X.weight.scale   F32 (1,) or (out,)                    X.weight.scale   F16  (out, groups, ...)

Eight bits: value = integer * scale, one scale for the tensor or one for each output channel. Four bits: two inputs
share a byte, the even one in its low half, each as integer + 8; `groups` runs of equally many inputs have a scale
each (for every place of a convolution's kernel). `nutshell compress quantize` writes this; docs/reference/quantized.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nutshell.errors import CorruptFile, Shape
from nutshell.language import tr
from nutshell.weights.tensor import Array, Tensor

SCALE = ".scale"
_OFFSET = 8  # what is added to four bits, -7..7, so that they are not negative
_BITS = {"I8": 8, "U8": 4}


@dataclass(frozen=True, eq=False)
class Quantized(Tensor):
    """A tensor over stored integers. dtype: theirs ("I8", or "U8" of two in a byte). shape: of the values.

    stored_shape: of the integers' bytes. scales: theirs.
    """

    stored_shape: Shape = ()
    scales: Tensor | None = None

    @property
    def bits(self) -> int:
        """8 or 4."""
        return _BITS[self.dtype]

    @property
    def kind(self) -> str:
        return f"int{self.bits}"

    @property
    def nbytes(self) -> int:
        """Of the integers and their scales."""
        return math.prod(self.stored_shape) + self._scales.nbytes

    def array(self) -> Array:
        """The integers, in the shape of the values."""
        stored = Tensor(self.name, self.dtype, self.stored_shape, self.data, self.offset).array()
        return (stored if self.bits == 8 else unpacked(stored)).reshape(self.shape)

    def f32(self) -> npt.NDArray[np.float32]:
        scales = self._scales.f32()
        if self.bits == 8:
            return self.array() * scales.reshape(-1, *(1,) * (len(self.shape) - 1))
        integers = self.array().reshape(len(scales), scales.shape[1], -1, *scales.shape[2:])
        return np.asarray((integers * scales[:, :, None]).reshape(self.shape), np.float32)

    def plain(self) -> Tensor:
        return Tensor.of(self.name, self.f32().astype(np.float16))

    def rows(self, start: int, stop: int) -> Tensor:
        return self.plain().rows(start, stop)

    def int8_rows(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        """Eight bits as they lie, and a scale for each output channel, (out,)."""
        return self.array(), np.broadcast_to(self._scales.f32(), self.shape[:1]).copy()

    @property
    def _scales(self) -> Tensor:
        assert self.scales is not None
        return self.scales


def with_quantized(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`stored`, integers joined with their scales. Raises CorruptFile for scales that do not fit."""
    joined = dict(stored)
    for name in [name for name in stored if name.endswith(f".weight{SCALE}")]:
        weight = stored.get(name.removesuffix(SCALE))
        if weight is not None and weight.dtype in _BITS:
            joined[weight.name] = _joined(weight, joined.pop(name))
    return joined


def packed(values: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Integers -7..7 (out, in, ...), `in` even, as bytes (out, in / 2, ...)."""
    raised = (values + _OFFSET).astype(np.uint8)
    return np.asarray(raised[:, 0::2] | raised[:, 1::2] << 4, np.uint8)


def unpacked(stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """What was `packed`."""
    values = np.empty((stored.shape[0], 2 * stored.shape[1], *stored.shape[2:]), np.int8)
    values[:, 0::2] = (stored & 15).astype(np.int8) - _OFFSET
    values[:, 1::2] = (stored >> 4).astype(np.int8) - _OFFSET
    return values


def _joined(weight: Tensor, scales: Tensor) -> Quantized:
    stored = weight.shape
    if weight.dtype == "I8":
        shape, fits = stored, scales.shape in ((1,), stored[:1])
    else:
        shape = (stored[0], 2 * stored[1], *stored[2:]) if len(stored) > 1 else stored
        groups = scales.shape[1] if len(scales.shape) == len(stored) > 1 else 0
        fits = groups > 0 and scales.shape == (stored[0], groups, *stored[2:]) and shape[1] % groups == 0
    if not fits or scales.dtype not in ("F16", "F32"):
        raise CorruptFile(
            tr(
                "the scales of {name} have the shape {scales}, which does not fit {shape}",
                name=weight.name,
                scales=scales.shape,
                shape=stored,
            ),
            tr("make the model again"),
        )
    return Quantized(weight.name, weight.dtype, shape, weight.data, weight.offset, stored, scales)
