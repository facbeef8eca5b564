"""A network over large maps, written so that it can run strip by strip: what each strip reads, and in which order.

A convolution needs one row of its neighbours' and nothing else of the picture; a normalization needs the whole, but
only two numbers for each group of channels. So the maps between normalizations are kept in strips of rows, whose
statistics are gathered while they are written, and every strip of the next one is computed from a few rows of them.
The result is that of the whole network: there is no seam, for nothing is blended.

What runs this, and what it costs, stands in `nutshell.engines.strips`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nutshell.weights import Weights

if TYPE_CHECKING:
    from nutshell.networks.ops import Network, Ops

_VALUE_BYTES = 4
# Values of the widest map that a strip has, in bytes of float32.
STRIP_BYTES = 8_000_000
# As many rows as any sweep here looks beyond its own.
FARTHEST = 4


@dataclass(frozen=True)
class Window:
    """Rows [start, stop) of a map of `height` rows."""

    start: int
    stop: int
    height: int

    @property
    def rows(self) -> int:
        return self.stop - self.start

    def around(self, rows: int) -> Window:
        """With so many rows more on either side, where there are any."""
        return Window(max(0, self.start - rows), min(self.height, self.stop + rows), self.height)

    def padding(self, rows: int) -> tuple[int, int]:
        """Above and below: of so many rows those that lie outside the map, which are zeros."""
        return max(0, rows - self.start), max(0, self.stop + rows - self.height)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """What makes the graph of a strip another one than its neighbour's."""
        return (self.rows, self.start % 2, *self.padding(FARTHEST))


@dataclass(frozen=True)
class Sheet:
    """A map of which rows come and go: (1, channels, height, width)."""

    name: str
    channels: int
    height: int
    width: int

    @property
    def row_bytes(self) -> int:
        return _VALUE_BYTES * self.channels * self.width


@dataclass(frozen=True)
class Norm:
    """Group normalization by the statistics of a whole sheet. scope: of its weight and bias."""

    of: Sheet
    scope: tuple[str | int, ...]
    groups: int
    eps: float


@dataclass(frozen=True)
class Sweep:
    """One sheet made of others, a strip at a time, from top to bottom.

    reads: for each input the sheet it is cut from, and its rows that a window of the result needs. run(ops, weights,
    inputs, window): the strip. kept: or only its statistics are wanted. done: sheets that nothing after it reads;
    their rows are freed as the sweep leaves them behind. widest: channels of its widest map, which is as many columns
    wide as the result, or the widest of what it reads. norms: what to multiply by and what to add then, each
    (1, channels, 1, 1), come in as the inputs `scale0`, `shift0`, `scale1`, ...
    """

    name: str
    writes: Sheet
    reads: Mapping[str, tuple[Sheet, Callable[[Window], Window]]]
    run: Callable[[Ops[Any], Weights, Mapping[str, Any], Window], Any]
    widest: int
    norms: tuple[Norm, ...] = ()
    measured: bool = True
    kept: bool = True
    done: tuple[str, ...] = ()

    def windows(self, strip_bytes: int) -> list[Window]:
        """The strips of the result."""
        columns = max(self.writes.width, *(sheet.width for sheet, _ in self.reads.values()))
        rows = max(2, strip_bytes // (_VALUE_BYTES * self.widest * columns) // 2 * 2)
        height = self.writes.height
        return [Window(start, min(start + rows, height), height) for start in range(0, height, rows)]


@dataclass(frozen=True)
class Whole:
    """A network of one input that makes a sheet of another one, in one piece; nothing after it reads that one."""

    network: Network
    reads: Sheet
    writes: Sheet


@dataclass(frozen=True)
class Strips:
    """Another way to run a network of one input and one output: the same result, in less memory and more time.

    given: the input. steps: in order; the last one writes the result.
    """

    part: str
    given: Sheet
    steps: tuple[Sweep | Whole, ...]
    strip_bytes: int = field(default=STRIP_BYTES)
