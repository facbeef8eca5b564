"""Memory: how much is free for us, and how much we took at most."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import psutil

_PROC = Path("/proc/self")
_CGROUPS = (
    # Version 2, then version 1: (limit, usage, the part of it that the kernel may drop at will).
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


def available_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that can still be taken without swapping, a container's limit counted in."""
    free = int(psutil.virtual_memory().available)
    for limit_name, used_name, stat_name in _CGROUPS:
        limit, used = _number(cgroup / limit_name), _number(cgroup / used_name)
        # Version 1 says "no limit" with a number near 2**63.
        if limit is not None and used is not None and limit < 2**60:
            free = min(free, max(0, limit - used + _droppable(cgroup / stat_name)))
    return free


class PeakMeter:
    """The most resident memory of this process from its making on.

    Linux can start the count anew; elsewhere it runs from the start of the process.
    """

    def __init__(self) -> None:
        # "5" resets VmHWM, the peak of resident memory (man 5 proc, clear_refs).
        with contextlib.suppress(OSError):
            (_PROC / "clear_refs").write_text("5")

    def bytes(self) -> int:
        """Peak so far."""
        with contextlib.suppress(OSError, ValueError, StopIteration):
            lines = (_PROC / "status").read_text().splitlines()
            return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
        try:
            import resource
        except ImportError:  # Windows
            return int(psutil.Process().memory_info().peak_wset)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _droppable(stat: Path) -> int:
    """Bytes of file pages in the group that are not in use."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        rows = dict(line.split() for line in stat.read_text().splitlines())
        return int(rows.get("inactive_file", 0))
    return 0
