"""The doctor's report for people: plain text, in the language that is spoken, at most 100 cells wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nutshell.cli.speech import padded, words, wrapped
from nutshell.language import Text, join, tr
from nutshell.machine.rules import findings
from nutshell.machine.rules.engines import TITLES
from nutshell.machine.rules.finding import Severity, size

if TYPE_CHECKING:
    from nutshell.machine.examination import Examination
    from nutshell.machine.facts import Disk, Gpu, Machine, Unknown

_LABEL = 14  # cells

MACHINE = tr("This machine")
FINE = tr("Pictures can be drawn here.")
LIMITED = tr("Pictures can be drawn here, with limits.")
UNREAD = tr("What could not be found out")
SEVERITIES: dict[Severity, Text] = {
    "stops": tr("Until this is mended nothing can be drawn"),
    "limits": tr("This costs speed, size or models"),
    "note": tr("Good to know"),
}
UNKNOWN = tr("unknown")
NONE = tr("none found")
OFFLINE = tr("not asked (offline)")
COMMA = tr(", ")

# As their makers write them; the rest in capitals.
_FEATURES = {"sse4_2": "SSE4.2", "dotprod": "dotprod", "avx_vnni": "AVX-VNNI", "amx_tile": ""}


def lines(examination: Examination, unknown: Sequence[Unknown], *, offline: bool) -> Iterator[str]:
    """The whole report."""
    machine = examination.machine
    yield words(MACHINE)
    yield from _row(tr("Processor"), *_processor(machine))
    yield from _row(tr("Memory"), _memory(machine))
    yield from _row(tr("Disks"), *_unique(map(_disk, machine.disks)))
    yield from _row(tr("Graphics"), *map(_gpu, machine.gpus))
    yield from _row(tr("System"), _system(machine))
    yield from _row(tr("Engines"), *_engines(examination))
    yield from _row(tr("Folders"), *_folders(examination))
    yield from _row(tr("Network"), *_network(examination, offline))
    found = findings(examination)
    if not any(finding.severity == "stops" for finding in found):
        yield from ("", words(LIMITED if any(one.severity == "limits" for one in found) else FINE))
    severity = ""
    for number, finding in enumerate(found, 1):
        if finding.severity != severity:
            severity = finding.severity
            yield from ("", words(SEVERITIES[finding.severity]))
        yield from wrapped(finding.sentence, f"  {number:>2}. ", "      ")
        yield from wrapped(finding.remedy, "      -> ", "         ")
    if unknown:
        yield from ("", words(UNREAD))
        for item in unknown:
            yield from wrapped(_named(item.fact, item.reason), "  ", "      ")


def _row(label: Text, *texts: Text) -> Iterator[str]:
    first = padded(f"  {words(label)}", _LABEL)
    for text in texts or (NONE,):
        yield from wrapped(text, first, " " * (_LABEL + 2))
        first = " " * _LABEL


def _processor(machine: Machine) -> Iterator[Text]:
    cpu = machine.cpu
    count = tr("1 core") if machine.cores == 1 else tr("{cores} cores", cores=machine.cores)
    if cpu.threads != cpu.cores:
        count = tr("{cores}, {threads} threads", cores=count, threads=cpu.threads)
    yield join(COMMA, (part for part in (cpu.model or UNKNOWN, count, cpu.architecture) if part))
    names = (_FEATURES.get(name, name.upper().replace("_", "-")) for name in sorted(cpu.features))
    listed = " ".join(name for name in names if name)
    fallback = NONE if machine.knows("cpu.features") else UNKNOWN
    yield tr("instruction sets: {features}", features=listed or fallback)


def _memory(machine: Machine) -> Text:
    memory = machine.memory
    total = UNKNOWN if memory.total_bytes is None else size(memory.total_bytes)
    parts = [tr("{usable} of {total} can be used", usable=size(machine.usable_bytes), total=total)]
    if memory.cgroup_limit_bytes is not None:
        parts.append(tr("limited to {limit}", limit=size(memory.cgroup_limit_bytes)))
    if memory.swap_total_bytes and memory.swap_free_bytes is not None:
        free, total = size(memory.swap_free_bytes), size(memory.swap_total_bytes)
        parts.append(tr("swap: {free} of {total} free", free=free, total=total))
    elif memory.swap_total_bytes == 0:
        parts.append(tr("no swap"))
    if memory.root_in_ram:
        parts.append(tr("the system itself lies in memory"))
    return join(COMMA, parts)


def _disk(disk: Disk) -> Text:
    parts = [_room(disk.free_bytes, disk.total_bytes), disk.filesystem]
    parts += [tr("removable")] if disk.removable else []
    parts += [tr("read-only")] if disk.read_only else []
    return _named(disk.mount, join(COMMA, filter(None, parts)))


def _room(free: int | None, total: int | None) -> Text:
    if free is None or total is None:
        return UNKNOWN
    return tr("{free} free of {total}", free=size(free), total=size(total))


def _gpu(gpu: Gpu) -> Text:
    parts: list[str] = []
    if gpu.memory_bytes is not None and gpu.free_bytes is not None:
        memory, free = size(gpu.memory_bytes), size(gpu.free_bytes)
        parts.append(tr("{memory} of its own memory, {free} free", memory=memory, free=free))
    elif gpu.memory_bytes is not None:
        parts.append(tr("{memory} of its own memory", memory=size(gpu.memory_bytes)))
    elif gpu.kind == "integrated":
        parts.append(tr("shares the main memory"))
    if gpu.compute_capability is not None:
        parts.append(tr("compute capability {capability}", capability="{}.{}".format(*gpu.compute_capability)))
    parts.append(tr("driver {driver}", driver=gpu.driver) if gpu.driver else tr("no driver"))
    return _named(gpu.name, join(COMMA, filter(None, (*parts, gpu.runtime))))


def _system(machine: Machine) -> Text:
    system = machine.system
    name = system.distribution_name or f"{system.os} {system.release}".strip() or UNKNOWN
    kernel = f"Linux {system.kernel}" if system.os == "linux" and system.kernel else ""
    python: str = f"Python {system.python}" if system.python else ""
    if python and system.python_bits != 64:
        python = tr("{python} ({bits} bits)", python=python, bits=system.python_bits)
    translated = tr("translated by Rosetta") if system.translated else ""
    machine_kind = tr("a virtual machine") if system.virtualisation == "other" else system.virtualisation
    around = [tr("in {surroundings}", surroundings=text) for text in (system.container, machine_kind) if text]
    return join(COMMA, filter(None, (name, kernel, python, translated, *around)))


def _engines(examination: Examination) -> Iterator[Text]:
    for engine in examination.engines:
        title = TITLES.get(engine.name, engine.name)
        if not engine.installed:
            yield _named(title, engine.error or tr("not installed"))
        else:
            yield _named(f"{title} {engine.version}".strip(), engine.error or join(COMMA, engine.devices))


def _folders(examination: Examination) -> Iterator[Text]:
    for folder in examination.folders:
        parts = [_room(folder.free_bytes, folder.total_bytes)]
        parts += [] if folder.writable else [tr("cannot be written")]
        if folder.read_bytes_per_second is not None:
            parts.append(tr("reads {speed} a second", speed=size(int(folder.read_bytes_per_second))))
        role = tr("models") if folder.role == "models" else tr("temporary files")
        yield tr("{role}: {path}: {facts}", role=role, path=folder.path, facts=join(COMMA, parts))


def _network(examination: Examination, offline: bool) -> Iterator[Text]:
    if offline or examination.hubs is None:
        yield OFFLINE if offline else UNKNOWN
        return
    for hub in examination.hubs:
        if hub.answers:
            yield tr("{hub} answers ({seconds:.1f} s)", hub=hub.name, seconds=hub.seconds)
        else:
            yield tr("{hub} does not answer ({reason})", hub=hub.name, reason=hub.reason)


def _named(name: str, facts: str) -> Text:
    return tr("{name}: {facts}", name=name, facts=facts)


def _unique(texts: Iterator[Text]) -> Sequence[Text]:
    return tuple(dict.fromkeys(texts))
