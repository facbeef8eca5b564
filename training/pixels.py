"""Pictures as numbers."""

from __future__ import annotations

from torch import Tensor


def to_unit(pictures: Tensor) -> Tensor:
    """uint8 0..255 -> float -1..1, the range of the networks."""
    return pictures.float() / 127.5 - 1
