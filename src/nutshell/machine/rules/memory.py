"""Rules about memory."""

from __future__ import annotations

from collections.abc import Iterator

from nutshell.machine.examination import Examination
from nutshell.machine.rules.finding import Finding, size

# Measured: the built-in model's whole process peaks at 226 MB.
LEAST_BYTES = 300_000_000
LITTLE_BYTES = 1_000_000_000


def free_memory(examination: Examination) -> Iterator[Finding]:
    """Too little for any model, or for all but the built-in one."""
    machine = examination.machine
    usable = size(machine.usable_bytes)
    if machine.memory.available_bytes is None and machine.memory.cgroup_limit_bytes is None:
        yield Finding("memory-unknown", "note", {"usable": usable})
    elif machine.usable_bytes < LEAST_BYTES:
        yield Finding("memory-too-little", "stops", {"usable": usable, "least": size(LEAST_BYTES)})
    elif machine.usable_bytes < LITTLE_BYTES:
        yield Finding("memory-little", "limits", {"usable": usable})


def limited_memory(examination: Examination) -> Iterator[Finding]:
    """A container that sees a large machine and may have little of it."""
    memory = examination.machine.memory
    limit, total = memory.cgroup_limit_bytes, memory.total_bytes
    if limit is not None and total is not None and limit < total // 2:
        severity = "limits" if limit < 4 * LITTLE_BYTES else "note"
        yield Finding("memory-limit", severity, {"limit": size(limit), "total": size(total)})  # type: ignore[arg-type]


def full_swap(examination: Examination) -> Iterator[Finding]:
    """Swap that is nearly used up."""
    total, free = examination.machine.memory.swap_total_bytes, examination.machine.memory.swap_free_bytes
    if total and free is not None and free < total * 0.15:
        yield Finding("swap-full", "limits", {"free": size(free), "total": size(total)})


def root_in_ram(examination: Examination) -> Iterator[Finding]:
    """Storing takes memory."""
    machine = examination.machine
    if machine.memory.root_in_ram:
        yield Finding("root-in-ram", "limits", {"held": size(machine.memory.root_ram_bytes or 0)})
    elif machine.system.live:
        yield Finding("live", "note")
