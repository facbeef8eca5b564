"""Main memory, from /proc/meminfo or the system, and what limits us below it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nutshell.language import tr
from nutshell.machine import cgroups
from nutshell.machine.facts import Memory
from nutshell.machine.mounts import Mount, root_is_in_ram
from nutshell.machine.source import Notes, Source, Unreadable

_BYTES = 1024  # "kB" in /proc/meminfo are 1024 bytes.


def read_memory(source: Source, notes: Notes, mounts: Sequence[Mount] = ()) -> Memory:
    """Memory of any system. mounts: from `read_mounts`."""
    figures: dict[str, int]
    if source.platform == "linux":
        figures = notes.attempt("memory", lambda: meminfo(source.read("/proc/meminfo")), {})
    else:
        figures = notes.attempt("memory", lambda: _whole(source.ask("memory")), {})
    if source.platform == "linux" and "total" not in figures:
        if figures:
            notes.add("memory", tr("/proc/meminfo has no MemTotal"))
        total = notes.attempt("memory.total", lambda: int(source.ask("physical_bytes")), 0)
        figures.update({"total": total} if total else {})
    limit = notes.attempt("memory.cgroup", lambda: cgroups.memory_limit(source), None)
    in_ram = notes.attempt("memory.root", lambda: root_is_in_ram(source, mounts), False)
    held = notes.attempt("memory.root", partial(_used_bytes, source, "/"), None) if in_ram else None
    return Memory(
        total_bytes=figures.get("total"),
        available_bytes=figures.get("available"),
        swap_total_bytes=figures.get("swap_total"),
        swap_free_bytes=figures.get("swap_free"),
        cgroup_limit_bytes=limit[0] if limit else None,
        cgroup_used_bytes=limit[1] if limit else None,
        root_in_ram=in_ram,
        root_ram_bytes=held,
        own_bytes=notes.attempt("memory.own", lambda: int(source.ask("own_bytes")), 0),
    )


def meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo (the kernel's Documentation/filesystems/proc.rst): "MemTotal:  2000 kB" a line.

    Files of a RAM disk are in Shmem, which is no part of MemAvailable: they count as used.
    """
    rows: dict[str, int] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].endswith(":") and words[1].isdigit():
            rows[words[0][:-1]] = int(words[1]) * _BYTES
    if not rows:
        raise Unreadable(tr("/proc/meminfo holds no figures"))
    free: int | None = rows.get("MemAvailable")
    if free is None and "MemFree" in rows:
        # Before Linux 3.14: what is free and what can be dropped, without what lies in RAM disks.
        dropped = rows.get("Cached", 0) - rows.get("Shmem", 0) + rows.get("Buffers", 0)
        free = rows["MemFree"] + max(0, dropped)
    figures = {
        "total": rows.get("MemTotal"),
        "available": free,
        "swap_total": rows.get("SwapTotal"),
        "swap_free": rows.get("SwapFree"),
    }
    return {name: value for name, value in figures.items() if value is not None}


def _whole(figures: dict[str, int]) -> dict[str, int]:
    return {name: int(value) for name, value in figures.items()}


def _used_bytes(source: Source, mount: str) -> int:
    usage = source.ask("usage", mount)
    return int(usage["total"]) - int(usage["free"])
