"""When a model that nobody draws with is closed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nutshell.machine import Machine, probe

_LEAST_FREE_SHARE = 0.10
# Percent of the last ten seconds in which nothing at all could run for want of memory.
_MOST_STALLED = 5.0
_PRESSURE = Path("/proc/pressure/memory")


@dataclass
class Idle:
    """How long nothing has been drawn. keep_alive: seconds that a model is kept; below 0 for ever.

    clock: seconds, from any beginning, that no change of the date moves.
    """

    keep_alive: float
    clock: Callable[[], float] = time.monotonic
    _until: float | None = field(default=None, init=False)

    def begin(self, keep_alive: float | None = None) -> None:
        """From now on nothing is drawn. keep_alive: for this time, None as always."""
        seconds = self.keep_alive if keep_alive is None else keep_alive
        self._until = None if seconds < 0 else self.clock() + seconds

    def end(self) -> None:
        """Something is being drawn."""
        self._until = None

    @property
    def seconds_left(self) -> float:
        """Until the model is to be closed, infinite where it is not."""
        return math.inf if self._until is None else max(0.0, self._until - self.clock())

    @property
    def over(self) -> bool:
        """Whether the model has been kept for long enough."""
        return self.seconds_left <= 0


def memory_is_short(machine: Machine | None = None, pressure: Path = _PRESSURE) -> bool:
    """Whether less than 10% of memory is free (of what a container may have), or the system stalls for want of it.

    pressure: Linux' figures (kernel documentation, accounting/psi).
    """
    memory = (machine or probe(gpus=False)).memory
    pairs = [(memory.available_bytes, memory.total_bytes)]
    if memory.cgroup_limit_bytes:
        pairs.append((memory.cgroup_limit_bytes - (memory.cgroup_used_bytes or 0), memory.cgroup_limit_bytes))
    short = any(free is not None and whole and free < _LEAST_FREE_SHARE * whole for free, whole in pairs)
    return short or _stalled_percent(pressure) > _MOST_STALLED


def _stalled_percent(pressure: Path) -> float:
    """From "full avg10=0.00 avg60=0.00 avg300=0.00 total=0"."""
    try:
        for line in pressure.read_text(encoding="ascii").splitlines():
            words = dict(word.split("=", 1) for word in line.split()[1:])
            if line.startswith("full"):
                return float(words["avg10"])
    except (OSError, ValueError, KeyError):
        # Not Linux, or a kernel without these figures.
        pass
    return 0.0
