"""The distribution of a stream of values whose range is not known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Sixteen to each of the 255 steps that values are rounded to, over the whole range.
MOST_BINS = 4096

# Counted at once: a value takes 24 bytes on the way, and a decoder's layer has tens of millions.
_AT_ONCE = 1 << 20

# The width of a bin is 2 to this power at least.
_FINEST = -40


@dataclass
class Histogram:
    """Counts over bins whose edges are whole multiples of a width, itself a power of two.

    When the range outgrows `MOST_BINS`, pairs of bins are joined, so nothing is ever counted twice or
    spread over bins, and the order of `add` and `merge` does not matter.

    first: of the first bin, its lower edge in widths. minimum, maximum: exact.
    """

    minimum: float = np.inf
    maximum: float = -np.inf
    power: int = _FINEST
    first: int = 0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def total(self) -> int:
        """How many values were added."""
        return int(self.counts.sum())

    @property
    def width(self) -> float:
        """Of one bin."""
        return float(2.0**self.power)

    @property
    def centers(self) -> npt.NDArray[np.float64]:
        """The middle of each bin."""
        return np.asarray((self.first + np.arange(len(self.counts)) + 0.5) * self.width, np.float64)

    def add(self, values: Array) -> None:
        """Count finite values of any shape."""
        flat = values.reshape(-1)
        for start in range(0, flat.size, _AT_ONCE):
            self._add(flat[start : start + _AT_ONCE])

    def _add(self, values: Array) -> None:
        low, high = float(values.min()), float(values.max())
        power = max(self.power, _power(low, high))
        # A power of two divides exactly, and in float64 the least float32 does not vanish: each value in its true bin.
        places = np.floor(np.ldexp(values.astype(np.float64), -power)).astype(np.int64)
        first = int(places.min())
        self.merge(Histogram(low, high, power, first, np.bincount(places - first)))

    def merge(self, other: Histogram) -> None:
        """Count everything that `other` has counted."""
        if not len(other.counts):
            return
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        power = max(self.power, other.power, _power(self.minimum, self.maximum))
        parts = [_coarser(part, power) for part in (self, other) if len(part.counts)]
        self.power, self.first = power, min(first for first, _ in parts)
        self.counts = np.zeros(max(first + len(counts) for first, counts in parts) - self.first, np.int64)
        for first, counts in parts:
            self.counts[first - self.first :][: len(counts)] += counts


def _power(low: float, high: float) -> int:
    """Of the finest width at which low..high take at most `MOST_BINS`."""
    power = _FINEST
    if high > low:
        power = max(power, int(np.log2((high - low) / MOST_BINS)) - 1)
    while np.floor(high / 2.0**power) - np.floor(low / 2.0**power) >= MOST_BINS:
        power += 1
    return power


def _coarser(given: Histogram, power: int) -> tuple[int, npt.NDArray[np.int64]]:
    """First bin and counts at a width of 2 to `power`, not less than the given one's."""
    places = (given.first + np.arange(len(given.counts))) >> (power - given.power)
    return int(places[0]), np.bincount(places - places[0], given.counts).astype(np.int64)
