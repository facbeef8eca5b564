"""What the planner must know of this machine."""

from __future__ import annotations

import os

import psutil

from nutshell.machine.facts import Cpu, Machine, Memory
from nutshell.machine.memory import available_bytes


def probe() -> Machine:
    """Look at this machine. Takes milliseconds and never raises."""
    logical = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    own = int(psutil.Process().memory_info().rss)
    return Machine(
        cpu=Cpu(cores=max(1, min(logical, physical)), threads=logical),
        memory=Memory(available_bytes=available_bytes(), own_bytes=own),
    )
