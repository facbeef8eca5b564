"""Look at a machine: every reader once, and whatever fails is noted."""

from __future__ import annotations

from collections.abc import Iterable

from nutshell.machine.cpu import read_cpu
from nutshell.machine.disks import read_disks
from nutshell.machine.facts import Cpu, Machine, Memory, System
from nutshell.machine.gpus import read_gpus
from nutshell.machine.main_memory import read_memory
from nutshell.machine.mounts import Mount, read_mounts
from nutshell.machine.source import Notes, Remembering, Source
from nutshell.machine.system import read_system
from nutshell.machine.this_computer import ThisComputer


def probe(source: Source | None = None, folders: Iterable[str] = (), *, gpus: bool = True) -> Machine:
    """Look at this machine, or at a recorded one. Never raises.

    folders: absolute paths whose file systems are wanted even if they lie on the network. gpus: whether to look for
    cards. Takes milliseconds, and up to 1.5 s where a driver or tool has to be asked that does not answer.
    """
    notes = Notes()
    source = Remembering(source or ThisComputer())
    mounts: tuple[Mount, ...] = notes.attempt("disks", lambda: read_mounts(source), ())
    cpu = notes.attempt("cpu", lambda: read_cpu(source, notes), Cpu())
    return Machine(
        cpu=cpu,
        memory=notes.attempt("memory", lambda: read_memory(source, notes, mounts), Memory()),
        disks=notes.attempt("disks", lambda: read_disks(source, notes, mounts, folders), ()),
        gpus=notes.attempt("gpu", lambda: read_gpus(source, notes, cpu) if gpus else (), ()),
        system=notes.attempt("system", lambda: read_system(source, notes), System()),
        unknown=tuple(notes.unknown),
    )


def probe_processor(source: Source | None = None) -> Machine:
    """A machine of which the processor alone was looked at: in a millisecond. Never raises."""
    notes = Notes()
    source = Remembering(source or ThisComputer())
    cpu = notes.attempt("cpu", lambda: read_cpu(source, notes), Cpu())
    return Machine(cpu=cpu, unknown=tuple(notes.unknown))
