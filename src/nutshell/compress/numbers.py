"""Stored bits and the numbers that they stand for, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.weights import STORAGE

F32 = npt.NDArray[np.float32]

FLOATS = ("F64", "F32", "F16", "BF16")


def stored_as(dtype: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers as the bits of a safetensors dtype; rounded to the nearest, ties to even."""
    if dtype != "BF16":
        return np.asarray(values).astype(STORAGE[dtype])
    # bfloat16 is the upper half of a float32: add half of what is cut off, less one where the last bit kept is 0.
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.asarray((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def rounded(dtype: str, values: npt.NDArray[Any]) -> F32:
    """What is left of numbers that are stored as `dtype`."""
    bits = stored_as(dtype, values)
    if dtype == "BF16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return bits.astype(np.float32)
