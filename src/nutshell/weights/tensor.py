"""One stored tensor: where its bytes lie, read only when asked.

A `Tensor` is a view into a mapped file. Nothing is copied until `array()` values are used, so a
network can be described, checked and priced without touching a single weight page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.errors import Shape

Array = npt.NDArray[Any]

# safetensors dtype name -> the NumPy dtype that holds its bits (NumPy has no bfloat16: raw uint16).
STORAGE: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named tensor over bytes that are usually a memory map.

    name: as the file has it. dtype: safetensors name ("F16"). shape: logical shape.
    data: buffer holding the bytes (None for a placeholder without data). offset: first byte in it.
    """

    name: str
    dtype: str
    shape: Shape
    data: Any = None
    offset: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * STORAGE[self.dtype].itemsize

    @property
    def aligned(self) -> bool:
        """Whether the data begins at a multiple of its element size. NumPy copes without; engines may not."""
        return self.offset % STORAGE[self.dtype].itemsize == 0

    def array(self) -> Array:
        """The stored bits as an array of `shape`, without a copy; BF16 as raw uint16."""
        if self.data is None:
            raise ValueError(f"{self.name} is a placeholder and has no data")
        if not self.size:
            return np.empty(self.shape, STORAGE[self.dtype])
        flat = np.frombuffer(self.data, STORAGE[self.dtype], self.size, self.offset)
        return flat.reshape(self.shape)

    def f32(self) -> npt.NDArray[np.float32]:
        """The values in float32 (a copy unless stored so)."""
        stored = self.array()
        if self.dtype == "BF16":
            # bfloat16 is the upper half of a float32.
            return (stored.astype(np.uint32) << 16).view(np.float32)
        return stored.astype(np.float32, copy=False)

    @property
    def kind(self) -> str:
        """What its values are stored as, to show."""
        return self.dtype

    def plain(self) -> Tensor:
        """The same in a floating-point type that engines know: itself, unless it is stored in a few bits."""
        return self

    def reshape(self, *shape: int) -> Tensor:
        """The same bytes under another shape (a 1x1 convolution as a linear, say)."""
        if math.prod(shape) != self.size:
            raise ValueError(f"{self.name}: cannot view {self.shape} as {shape}")
        return replace(self, shape=tuple(shape))

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of the first axis: contiguous, so still only a view (fused q, k, v)."""
        if not 0 <= start <= stop <= self.shape[0]:
            raise ValueError(f"{self.name}: no rows {start}:{stop} in {self.shape}")
        stride = self.nbytes // self.shape[0] if self.shape[0] else 0
        return replace(
            self,
            name=f"{self.name}[{start}:{stop}]",
            shape=(stop - start, *self.shape[1:]),
            offset=self.offset + start * stride,
        )

    @staticmethod
    def of(name: str, values: Array) -> Tensor:
        """Wrap an array in memory (computed or appended weights). Must be C-contiguous after this."""
        values = np.ascontiguousarray(values)
        dtype = next(key for key, kind in STORAGE.items() if kind == values.dtype and key != "BF16")
        return Tensor(name, dtype, values.shape, values.reshape(-1).view(np.uint8).data if values.size else b"")
