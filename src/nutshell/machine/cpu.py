"""The processor: model, cores this process may use, instruction sets."""

from __future__ import annotations

import math

from nutshell.language import tr
from nutshell.machine import cgroups
from nutshell.machine.cpu_names import NUMPY_NAMES, arm_name, arm_vendor, linux_features, mac_features, vendor_name
from nutshell.machine.facts import Cpu
from nutshell.machine.mac import sysctl
from nutshell.machine.source import Notes, Source, Unreadable, text_or

Block = dict[str, str]

_GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_"


def read_cpu(source: Source, notes: Notes) -> Cpu:
    """The processor of any system."""
    architecture = notes.attempt("cpu.architecture", lambda: str(source.ask("system")["architecture"]), "")
    # Windows calls them AMD64 and ARM64, and macOS arm64.
    architecture = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture.lower(), architecture)
    if source.platform == "linux":
        return _linux(source, notes, architecture)
    if source.platform == "darwin":
        return _mac(source, notes, architecture)
    return _other(source, notes, architecture)


def cpuinfo_blocks(text: str) -> list[Block]:
    """/proc/cpuinfo (`show_cpuinfo` of each architecture in the kernel): one block of "key : value" a processor.

    Blocks without a processor number tell of the whole board. Keys in lower case.
    """
    blocks: list[Block] = [{}]
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not line.strip():
            blocks.append({})
        elif colon:
            blocks[-1].setdefault(key.strip().lower(), value.strip())
    return [block for block in blocks if block]


def _linux(source: Source, notes: Notes, architecture: str) -> Cpu:
    blocks: list[Block] = notes.attempt("cpu", lambda: cpuinfo_blocks(source.read("/proc/cpuinfo")), [])
    processors = [block for block in blocks if block.get("processor", "").isdigit()]
    facts: Block = {}
    for block in blocks:
        facts = {**block, **facts}
    flags = facts.get("flags") or facts.get("features", "")
    if not flags:
        notes.add("cpu.features", tr("{path} lists none", path="/proc/cpuinfo"))
    model = facts.get("model name", "")
    if architecture.startswith(("aarch64", "arm")) or not model:
        board = text_or(source, "/proc/device-tree/model") or facts.get("model", "")
        name = arm_name(facts.get("cpu implementer", ""), facts.get("cpu part", "")) or model
        # On x86 "model" is a number.
        board = "" if board.isdigit() else board
        model = f"{name} ({board})" if name and board else name or board
    cores, threads = _linux_count(source, notes, processors)
    return Cpu(
        model=" ".join(model.split()),
        vendor=vendor_name(facts.get("vendor_id", "")) or arm_vendor(facts.get("cpu implementer", "")),
        architecture=architecture,
        cores=cores,
        threads=threads,
        features=linux_features(flags.split()),
        governor=text_or(source, _GOVERNOR + "governor"),
        governor_driver=text_or(source, _GOVERNOR + "driver"),
    )


def _linux_count(source: Source, notes: Notes, processors: list[Block]) -> tuple[int, int]:
    """Physical cores and threads, of those that affinity and the control group leave us."""
    numbers = {int(block["processor"]): block for block in processors}
    try:
        allowed = set(source.ask("affinity"))
    except Unreadable:
        allowed = set(numbers)
    mine = [numbers[number] for number in sorted(allowed & set(numbers))]
    if mine:
        places = {(b.get("physical id", "0"), b.get("core id", b["processor"])) for b in mine}
        cores, threads = len(places), len(mine)
    else:
        cores, threads = notes.attempt("cpu.cores", lambda: _asked_count(source), (1, 1))
        threads = min(threads, len(allowed) or threads)
    share = cgroups.processors(source)
    if share is not None:
        threads = max(1, min(threads, math.ceil(share)))
    return min(cores, threads), threads


def _asked_count(source: Source) -> tuple[int, int]:
    told = source.ask("cores")
    logical = told["logical"] or 1
    return min(told["physical"] or logical, logical), logical


def _mac(source: Source, notes: Notes, architecture: str) -> Cpu:
    facts: Block = notes.attempt("cpu", lambda: sysctl(source), {})
    features = mac_features(facts)
    if not facts:
        notes.add("cpu.features", tr("{path} lists none", path="sysctl"))
    cores, threads = notes.attempt("cpu.cores", lambda: _asked_count(source), (1, 1))
    apple = facts.get("hw.optional.arm64") == "1"
    return Cpu(
        model=facts.get("machdep.cpu.brand_string", ""),
        vendor="apple" if apple else vendor_name(facts.get("machdep.cpu.vendor", "")),
        architecture=architecture,
        cores=int(facts.get("hw.physicalcpu", cores)),
        threads=int(facts.get("hw.logicalcpu", threads)),
        features=features,
    )


def _other(source: Source, notes: Notes, architecture: str) -> Cpu:
    """Windows, and systems nobody thought of."""
    named = notes.attempt("cpu", lambda: source.ask("windows_cpu"), {"model": "", "vendor": ""})
    found: list[str] = notes.attempt("cpu.features", lambda: source.ask("numpy_features"), [])
    if found:
        notes.add("cpu.features.rare", tr("NumPy, which is asked on this system, does not look for AVX-VNNI and AMX"))
    cores, threads = notes.attempt("cpu.cores", lambda: _asked_count(source), (1, 1))
    features = frozenset(NUMPY_NAMES[name] for name in found if name in NUMPY_NAMES)
    vendor = vendor_name(named["vendor"])
    return Cpu(" ".join(named["model"].split()), vendor, architecture, cores, threads, features)
