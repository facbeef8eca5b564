"""Is memory so short that the machine does little else than move pages? What Linux tells of it, and when it is so."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from nutshell.language import Text, tr

PAGE_BYTES = 4096

# What is judged is the time between two looks that are so far apart at least, in seconds.
_SPAN_SECONDS = 2.0
# The share of it in which nothing ran because everything waited for memory. A desktop stutters from a tenth on.
_STALLED_SHARE = 0.3
# Of this process's own pages on disk, since it was first looked at; and how often in a second it waited for one.
_SWAPPED_BYTES = 32_000_000
_FAULTS_PER_SECOND = 100
# Beyond one wait for each page of what is read anyway, which is more than read-ahead ever leaves: the engine's own
# libraries, 200 MB of them, may come from a cold disk meanwhile.
_SPARE_FAULTS = 50_000


@dataclass(frozen=True)
class Pressure:
    """stalled_seconds: for how long in all nothing ran because everything waited for memory (pressure stall
    information, "full"); None where the kernel does not keep it. faults: pages that this process waited for a disk to
    bring. swapped_bytes: its memory that lies in swap."""

    stalled_seconds: float | None
    faults: int
    swapped_bytes: int


def read_pressure(proc: Path = Path("/proc"), group: Path = Path("/sys/fs/cgroup")) -> Pressure | None:
    """As Linux tells it (its Documentation/accounting/psi.rst; proc(5)); None elsewhere.

    group: of control groups, whose own stalls count where it has any: of a container, or a service with a limit.
    """
    try:
        # The name of the program may hold spaces and brackets; the tenth field after it counts from the second on.
        fields = (proc / "self" / "stat").read_text().rpartition(")")[2].split()
        faults = int(fields[9])
        status = (proc / "self" / "status").read_text().splitlines()
    except (OSError, ValueError, IndexError):
        return None
    swapped = next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmSwap:")), 0)
    own = _stalled(group / "memory.pressure")
    return Pressure(own if own is not None else _stalled(proc / "pressure" / "memory"), faults, swapped)


def _stalled(path: Path) -> float | None:
    """full avg10=0.00 avg60=0.00 avg300=0.00 total=276156 (microseconds)."""
    try:
        line = next(line for line in path.read_text().splitlines() if line.startswith("full"))
        return int(line.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError, StopIteration):
        return None


@dataclass
class Judge:
    """Looks at pressure as it grows, from a beginning on.

    read_bytes: of files that are read meanwhile, which costs a wait for each page at most.
    """

    read_bytes: int
    _seen: deque[tuple[float, Pressure]] = field(default_factory=deque, init=False)
    _first: Pressure | None = field(default=None, init=False)

    def look(self, now: float, pressure: Pressure) -> Text | None:
        """What is wrong, as a sentence; None while nothing is. now: seconds, from any beginning."""
        self._first = self._first or pressure
        faults = pressure.faults - self._first.faults
        if faults > self.read_bytes // PAGE_BYTES + _SPARE_FAULTS:
            return tr("pages that were in memory are read from the disk again and again")
        self._seen.append((now, pressure))
        # The youngest look that is old enough.
        while len(self._seen) > 1 and now - self._seen[1][0] >= _SPAN_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        if now - then < _SPAN_SECONDS:
            return None
        swapped = pressure.swapped_bytes - self._first.swapped_bytes
        waits = (pressure.faults - before.faults) / (now - then)
        if swapped > _SWAPPED_BYTES and waits > _FAULTS_PER_SECOND:
            return tr("memory is moved to the disk and back")
        if pressure.stalled_seconds is None or before.stalled_seconds is None:
            return None
        share = (pressure.stalled_seconds - before.stalled_seconds) / (now - then)
        if share > _STALLED_SHARE:
            return tr("every program waits for memory {percent:.0f}% of the time", percent=100 * min(share, 1))
        return None
