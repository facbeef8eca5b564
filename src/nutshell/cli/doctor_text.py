"""The doctor's report for people: plain text, at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nutshell.cli.speech import one_line
from nutshell.machine.rules import findings
from nutshell.machine.rules.engines import TITLES
from nutshell.machine.rules.finding import size

if TYPE_CHECKING:
    from nutshell.machine.examination import Examination
    from nutshell.machine.facts import Disk, Gpu, Machine, Unknown

COLUMNS = 100
_LABEL = 14

# Every word of the report that is not a finding, to be translated.
WORDS = {
    "machine": "This machine",
    "processor": "Processor",
    "memory": "Memory",
    "disks": "Disks",
    "graphics": "Graphics",
    "system": "System",
    "engines": "Engines",
    "folders": "Folders",
    "network": "Network",
    "fine": "Pictures can be drawn here.",
    "limited": "Pictures can be drawn here, with limits.",
    "unread": "What could not be found out",
    "stops": "Until this is mended nothing can be drawn",
    "limits": "This costs speed, size or models",
    "note": "Good to know",
    "in": "in {surroundings}",
    "virtual machine": "a virtual machine",
    "translated": "translated by Rosetta",
    "bits": "{bits} bits",
    "unknown": "unknown",
    "none": "none found",
    "offline": "not asked (offline)",
    "cores": "{cores} cores",
    "core": "1 core",
    "threads": "{cores}, {threads} threads",
    "features": "instruction sets: {features}",
    "usable": "{usable} of {total} can be used",
    "limit": "limited to {limit}",
    "swap": "swap: {free} of {total} free",
    "no swap": "no swap",
    "ram": "the system itself lies in memory",
    "free": "{free} free of {total}",
    "speed": "reads {speed} a second",
    "removable": "removable",
    "read-only": "read-only",
    "not writable": "cannot be written",
    "models": "models",
    "temporary": "temporary files",
    "own memory": "{memory} of its own memory",
    "own memory free": "{memory} of its own memory, {free} free",
    "shared memory": "shares the main memory",
    "capability": "compute capability {capability}",
    "driver": "driver {driver}",
    "no driver": "no driver",
    "not installed": "not installed",
    "answers": "answers ({seconds} s)",
    "silent": "does not answer ({reason})",
}

# As their makers write them; the rest in capitals.
_FEATURES = {"sse4_2": "SSE4.2", "dotprod": "dotprod", "avx_vnni": "AVX-VNNI", "amx_tile": ""}


def lines(examination: Examination, unknown: Sequence[Unknown], *, offline: bool) -> Iterator[str]:
    """The whole report."""
    machine = examination.machine
    yield WORDS["machine"]
    yield from _row("processor", *_processor(machine))
    yield from _row("memory", *_memory(machine))
    yield from _row("disks", *_unique(_disk(disk) for disk in machine.disks))
    yield from _row("graphics", *(_gpu(gpu) for gpu in machine.gpus))
    yield from _row("system", _system(machine))
    yield from _row("engines", *_engines(examination))
    yield from _row("folders", *_folders(examination))
    yield from _row("network", *_network(examination, offline))
    found = findings(examination)
    if not any(finding.severity == "stops" for finding in found):
        yield from ("", WORDS["limited" if any(one.severity == "limits" for one in found) else "fine"])
    severity = ""
    for number, finding in enumerate(found, 1):
        if finding.severity != severity:
            severity = finding.severity
            yield from ("", WORDS[severity])
        yield from _wrap(finding.sentence, f"  {number:>2}. ", "      ")
        yield from _wrap(finding.remedy, "      -> ", "         ")
    if unknown:
        yield ""
        yield WORDS["unread"]
        for item in unknown:
            yield from _wrap(f"{item.fact}: {item.reason}", "  ", "      ")


def _row(label: str, *texts: str) -> Iterator[str]:
    first = f"  {WORDS[label]}".ljust(_LABEL)
    for text in texts or (WORDS["none"],):
        yield from _wrap(text, first, " " * (_LABEL + 2))
        first = " " * _LABEL


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        one_line(text), COLUMNS, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first.rstrip()]


def _processor(machine: Machine) -> Iterator[str]:
    cpu = machine.cpu
    cores = WORDS["core"] if machine.cores == 1 else WORDS["cores"].format(cores=machine.cores)
    count = cores if cpu.threads == cpu.cores else WORDS["threads"].format(cores=cores, threads=cpu.threads)
    yield ", ".join(part for part in (cpu.model or WORDS["unknown"], count, cpu.architecture) if part)
    names = (_FEATURES.get(name, name.upper().replace("_", "-")) for name in sorted(cpu.features))
    listed = " ".join(name for name in names if name)
    fallback = WORDS["none"] if machine.knows("cpu.features") else WORDS["unknown"]
    yield WORDS["features"].format(features=listed or fallback)


def _memory(machine: Machine) -> Iterator[str]:
    memory = machine.memory
    total = WORDS["unknown"] if memory.total_bytes is None else size(memory.total_bytes)
    parts = [WORDS["usable"].format(usable=size(machine.usable_bytes), total=total)]
    if memory.cgroup_limit_bytes is not None:
        parts.append(WORDS["limit"].format(limit=size(memory.cgroup_limit_bytes)))
    if memory.swap_total_bytes and memory.swap_free_bytes is not None:
        swap = {"free": size(memory.swap_free_bytes), "total": size(memory.swap_total_bytes)}
        parts.append(WORDS["swap"].format(**swap))
    elif memory.swap_total_bytes == 0:
        parts.append(WORDS["no swap"])
    if memory.root_in_ram:
        parts.append(WORDS["ram"])
    yield ", ".join(parts)


def _disk(disk: Disk) -> str:
    parts = [_room(disk.free_bytes, disk.total_bytes), disk.filesystem]
    parts += [WORDS["removable"]] if disk.removable else []
    parts += [WORDS["read-only"]] if disk.read_only else []
    return f"{disk.mount}: {', '.join(part for part in parts if part)}"


def _room(free: int | None, total: int | None) -> str:
    if free is None or total is None:
        return WORDS["unknown"]
    return WORDS["free"].format(free=size(free), total=size(total))


def _gpu(gpu: Gpu) -> str:
    parts = []
    if gpu.memory_bytes is not None and gpu.free_bytes is not None:
        parts.append(WORDS["own memory free"].format(memory=size(gpu.memory_bytes), free=size(gpu.free_bytes)))
    elif gpu.memory_bytes is not None:
        parts.append(WORDS["own memory"].format(memory=size(gpu.memory_bytes)))
    elif gpu.kind == "integrated":
        parts.append(WORDS["shared memory"])
    if gpu.compute_capability is not None:
        parts.append(WORDS["capability"].format(capability="{}.{}".format(*gpu.compute_capability)))
    parts.append(WORDS["driver"].format(driver=gpu.driver) if gpu.driver else WORDS["no driver"])
    return ": ".join((gpu.name, ", ".join([*parts, *([gpu.runtime] if gpu.runtime else [])])))


def _system(machine: Machine) -> str:
    system = machine.system
    name = system.distribution_name or f"{system.os} {system.release}".strip() or WORDS["unknown"]
    kernel = f"Linux {system.kernel}" if system.os == "linux" and system.kernel else ""
    python = f"Python {system.python}" if system.python else ""
    python += f" ({WORDS['bits'].format(bits=system.python_bits)})" if python and system.python_bits != 64 else ""
    python += f", {WORDS['translated']}" if system.translated else ""
    machine_kind = WORDS["virtual machine"] if system.virtualisation == "other" else system.virtualisation
    around = [WORDS["in"].format(surroundings=text) for text in (system.container, machine_kind) if text]
    return ", ".join(part for part in (name, kernel, python, *around) if part)


def _engines(examination: Examination) -> Iterator[str]:
    for engine in examination.engines:
        title = TITLES.get(engine.name, engine.name)
        if not engine.installed:
            yield f"{title}: {engine.error or WORDS['not installed']}"
        else:
            told = engine.error or ", ".join(engine.devices)
            yield f"{title} {engine.version}".strip() + f": {told}"


def _folders(examination: Examination) -> Iterator[str]:
    for folder in examination.folders:
        parts = [_room(folder.free_bytes, folder.total_bytes)]
        parts += [] if folder.writable else [WORDS["not writable"]]
        if folder.read_bytes_per_second is not None:
            parts.append(WORDS["speed"].format(speed=size(int(folder.read_bytes_per_second))))
        yield f"{WORDS[folder.role]}: {folder.path}: {', '.join(parts)}"


def _network(examination: Examination, offline: bool) -> Iterator[str]:
    if offline or examination.hubs is None:
        yield WORDS["offline"] if offline else WORDS["unknown"]
        return
    for hub in examination.hubs:
        told = WORDS["answers"].format(seconds=f"{hub.seconds:.1f}") if hub.answers else ""
        yield f"{hub.name} {told or WORDS['silent'].format(reason=hub.reason)}"


def _unique(texts: Iterator[str]) -> Sequence[str]:
    return tuple(dict.fromkeys(texts))
