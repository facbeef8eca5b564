"""Control groups: the share of memory and processors that a container leaves to this process.

Files of the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. A limit of a group above
counts as well, so the way from our group up to the root is walked.
"""

from __future__ import annotations

from collections.abc import Iterator

from nutshell.machine.source import Source, Unreadable, number_or_none, text_or

_ROOT = "/sys/fs/cgroup"

# Version 1 says "no limit" with a number near 2**63.
_NO_LIMIT = 2**60


def memory_limit(source: Source) -> tuple[int, int] | None:
    """Limit and use in bytes, of the group that leaves the least; None without a limit.

    Use is without the file pages that the kernel may drop at will.
    """
    found = []
    for folder in _folders(source, ""):
        limits = [number_or_none(source, f"{folder}/memory.{name}") for name in ("max", "high")]
        used = number_or_none(source, f"{folder}/memory.current")
        found += [(limit, used, folder) for limit in limits if limit is not None and used is not None]
    for folder in _folders(source, "memory"):
        limit = number_or_none(source, f"{folder}/memory.limit_in_bytes")
        used = number_or_none(source, f"{folder}/memory.usage_in_bytes")
        if limit is not None and limit < _NO_LIMIT and used is not None:
            found.append((limit, used, folder))
    pairs = [(limit, max(0, used - _droppable(source, folder))) for limit, used, folder in found]
    return min(pairs, key=lambda pair: pair[0] - pair[1], default=None)


def processors(source: Source) -> float | None:
    """How many processors' time the tightest group may use; None without a limit."""
    shares = []
    for folder in _folders(source, ""):
        quota, _, period = text_or(source, f"{folder}/cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            shares.append(int(quota) / int(period))
    for folder in _folders(source, "cpu"):
        allowed = number_or_none(source, f"{folder}/cpu.cfs_quota_us")
        span = number_or_none(source, f"{folder}/cpu.cfs_period_us")
        if allowed is not None and allowed > 0 and span:
            shares.append(allowed / span)
    return min(shares, default=None)


def _folders(source: Source, controller: str) -> Iterator[str]:
    """Our group's folder and all above it. controller: "" for version 2.

    In a container /proc/self/cgroup may name a path of the host while the container's own group is mounted at the
    root; folders that are not there are skipped by whoever reads them.
    """
    base = f"{_ROOT}/{controller}".rstrip("/")
    path = ""
    try:
        for line in source.read("/proc/self/cgroup").splitlines():
            _, controllers, own = line.split(":", 2)
            if controller in controllers.split(","):
                path = own.rstrip("/")
    except (Unreadable, ValueError):
        pass
    while path:
        yield base + path
        path = path.rpartition("/")[0]
    yield base


def _droppable(source: Source, folder: str) -> int:
    """Bytes of file pages not in use. Version 1 has those of groups below as total_..."""
    rows = dict(line.split() for line in text_or(source, f"{folder}/memory.stat").splitlines() if line.count(" ") == 1)
    number = rows.get("total_inactive_file", rows.get("inactive_file", "0"))
    return int(number) if number.isdigit() else 0
