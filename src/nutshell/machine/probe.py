"""What the planner must know of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from nutshell.machine.memory import available_bytes


@dataclass(frozen=True)
class Machine:
    """usable_bytes: memory that this process may have in all, what it holds already included.

    cores: physical ones this process may use.
    """

    usable_bytes: int
    cores: int


def probe() -> Machine:
    """Look at this machine. Takes milliseconds and never raises."""
    logical = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    usable = available_bytes() + int(psutil.Process().memory_info().rss)
    return Machine(usable_bytes=usable, cores=max(1, min(logical, physical)))
