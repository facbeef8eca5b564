"""What a layer norm hands to the linears behind it: every channel's range, and some of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Of one run so many rows are kept, evenly over the picture; in all so many, every second of more.
_ROWS_OF_A_RUN = 16
_MOST_ROWS = 512


@dataclass
class NormSeen:
    """One layer norm. linears: that are given its output, in running order. low, high: of each channel, exact.

    rows (n, channels): some of its output, in half precision; stands (n,): for how many rows each stands. storable:
    whether the weights behind it are stored as numbers, so that they can be multiplied; not in eight bits already.
    """

    linears: list[str] = field(default_factory=list)
    low: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    high: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    rows: npt.NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, 0), np.float16))
    stands: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    storable: bool = True

    @property
    def reach(self) -> npt.NDArray[np.float32]:
        """Of each channel the greatest magnitude, (channels,)."""
        return np.maximum(-self.low, self.high)

    def add(self, values: Array) -> None:
        """See one output, (..., channels), of finite values."""
        flat = values.reshape(-1, values.shape[-1])
        places = np.unique(np.linspace(0, len(flat) - 1, min(_ROWS_OF_A_RUN, len(flat))).round().astype(int))
        stands = np.full(len(places), len(flat) / len(places))
        most = float(np.finfo(np.float16).max)
        rows = np.clip(flat[places], -most, most).astype(np.float16)
        self.merge(NormSeen([], flat.min(axis=0), flat.max(axis=0), rows, stands))

    def merge(self, other: NormSeen) -> None:
        """Take in everything that `other` has seen."""
        self.linears += [name for name in other.linears if name not in self.linears]
        self.storable &= other.storable
        if not len(other.rows):
            return
        if not len(self.rows):
            self.low, self.high, self.rows, self.stands = other.low, other.high, other.rows, other.stands
            return
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self.rows = np.concatenate([self.rows, other.rows])
        self.stands = np.concatenate([self.stands, other.stands])
        if len(self.rows) > _MOST_ROWS:
            # Those that stay stand for those that go.
            self.rows, self.stands = self.rows[::2].copy(), 2 * self.stands[::2]
