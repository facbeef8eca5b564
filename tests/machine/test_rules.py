"""What the doctor says of the recorded machines, and each rule at its border."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any

import pytest

from nutshell.machine import Cpu, Disk, Gpu, Machine, Memory, System, Unknown, machine_with
from nutshell.machine.examination import EngineReport, Examination, FolderReport, HubReport
from nutshell.machine.rules import RULES, findings
from nutshell.machine.rules.finding import size
from nutshell.machine.rules.sentences import SENTENCES
from tests.machines import NAMES, recorded

GB = 1_000_000_000

# Worst first. Machines that are not listed have nothing wrong.
EXPECTED = {
    "ascend-310": [],
    "celeron-2gb": ["no-avx2", "memory-little", "swap-full", "powersave"],
    "container-512mb": ["memory-little", "memory-limit"],
    "container-cgroup-v1": ["memory-little", "memory-limit"],
    "core-2-duo": ["no-sse42", "python-32-bit", "clock-wrong"],
    "gtx-1050-2gb": ["nvidia-old"],
    "gtx-1650-4gb": ["gtx-16"],
    "live-stick": ["root-in-ram"],
    "live-tmpfs-root": ["no-sse42", "memory-little", "root-in-ram"],
    "broken-meminfo": ["memory-unknown"],
    "nothing-at-all": ["memory-unknown"],
    "mac-rosetta": ["rosetta"],
    "nvidia-mismatch": ["nvidia-driver-fails"],
    "nvidia-nouveau": ["nvidia-nouveau"],
    "nvidia-smi-fails": ["nvidia-no-driver"],
    "nvidia-smi-hangs": ["nvidia-driver-fails"],
    "nvidia-smi-old": ["nvidia-old-driver"],
    "raspberry-pi-3": ["memory-little"],
    "windows-gtx-1060": ["nvidia-old"],
}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_with_each(name: str) -> None:
    assert [finding.key for finding in findings(Examination(recorded(name)))] == EXPECTED.get(name, [])


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_can_be_said(name: str) -> None:
    for finding in findings(Examination(recorded(name))):
        assert finding.sentence.endswith(".")
        assert finding.remedy
        assert "{" not in finding.sentence + finding.remedy


def keys(machine: Machine, **asked: Any) -> list[str]:
    return [finding.key for finding in findings(Examination(machine, **asked))]


GOOD = machine_with(usable_bytes=16 * GB)
OPENVINO = EngineReport("openvino", True, "2026.4.1", ("CPU",))
ONNX = EngineReport("onnx", True, "1.31.1", ("CPU",))


def test_a_good_machine_has_no_findings() -> None:
    hub = HubReport("a", "https://a", True)
    folder = FolderReport("models", "/m", "/m", True, 100 * GB, 50 * GB, 500e6)
    assert keys(GOOD, engines=(OPENVINO, ONNX), folders=(folder,), hubs=(hub,)) == []


def test_memory_at_its_borders() -> None:
    assert keys(machine_with(usable_bytes=299_000_000)) == ["memory-too-little"]
    assert keys(machine_with(usable_bytes=999_000_000)) == ["memory-little"]
    assert keys(machine_with(usable_bytes=1_000_000_000)) == []
    limited = replace(GOOD, memory=Memory(16 * GB, 16 * GB, cgroup_limit_bytes=6 * GB))
    assert [(f.key, f.severity) for f in findings(Examination(limited))] == [("memory-limit", "note")]


def test_unread_instruction_sets_are_no_finding() -> None:
    old = replace(GOOD, cpu=Cpu(architecture="x86_64"))
    assert keys(old) == ["no-sse42"]
    assert keys(replace(old, unknown=(Unknown("cpu.features", "no file"),))) == []
    assert keys(replace(GOOD, cpu=Cpu(architecture="aarch64"))) == []


def test_a_governor_that_only_sounds_slow() -> None:
    cpu = replace(GOOD.cpu, governor="powersave", governor_driver="intel_pstate")
    assert keys(replace(GOOD, cpu=cpu)) == []
    assert keys(replace(GOOD, cpu=replace(cpu, governor_driver="acpi-cpufreq"))) == ["powersave"]


def test_folders() -> None:
    good = FolderReport("models", "/m/x", "/m", True, 100 * GB, 50 * GB)
    assert keys(GOOD, folders=(replace(good, free_bytes=GB),)) == ["models-disk-almost-full"]
    assert keys(GOOD, folders=(replace(good, free_bytes=0),)) == ["models-disk-full"]
    assert keys(GOOD, folders=(replace(good, writable=False, free_bytes=0),)) == ["models-read-only"]
    assert keys(GOOD, folders=(replace(good, read_bytes_per_second=20e6),)) == ["models-slow"]
    stick = replace(GOOD, disks=(Disk("/"), Disk("/m", "vfat")))
    assert keys(stick, folders=(good,)) == ["models-fat"]
    temporary = replace(good, role="temporary")
    assert keys(GOOD, folders=(replace(temporary, free_bytes=GB // 10),)) == ["temporary-full"]
    assert keys(GOOD, folders=(replace(temporary, writable=False),)) == ["temporary-read-only"]
    assert keys(replace(GOOD, disks=(Disk("/m", noexec=True),)), folders=(temporary,)) == ["temporary-noexec"]


def card(name: str = "NVIDIA GeForce RTX 3060", capability: tuple[int, int] = (8, 6), memory: int = 12 * GB) -> Gpu:
    return Gpu("nvidia", name, "discrete", memory, memory, capability, "nvidia 550", "CUDA 12.4")


@pytest.mark.parametrize(
    ("capability", "built", "expected"),
    [
        ((8, 6), ("sm_80", "sm_90"), []),  # Code for 8.0 runs on 8.6.
        ((8, 0), ("sm_86",), ["nvidia-not-in-torch"]),
        ((12, 0), ("sm_50", "sm_90"), ["nvidia-not-in-torch"]),
        ((12, 0), ("sm_90", "compute_90"), []),
        ((6, 1), ("sm_50", "sm_60", "sm_70"), []),
        ((6, 1), ("sm_75", "sm_120"), ["nvidia-not-in-torch"]),
        ((6, 1), (), ["nvidia-old"]),
        ((7, 5), (), []),
    ],
)
def test_cards_that_an_engine_left_out(
    capability: tuple[int, int], built: tuple[str, ...], expected: list[str]
) -> None:
    torch = EngineReport("torch", True, "2.13", ("cpu", "cuda:0 (card)"), built)
    machine = replace(GOOD, gpus=(card(capability=capability),))
    assert keys(machine, engines=(OPENVINO, ONNX, torch)) == expected


def test_cards_nobody_uses() -> None:
    cpu_only = EngineReport("torch", True, "2.13+cpu", ("cpu",))
    machine = replace(GOOD, gpus=(card(), card()))
    assert keys(machine, engines=(OPENVINO, ONNX, cpu_only)) == ["card-unused"]
    assert keys(machine) == []  # Nobody asked the engines.
    assert keys(replace(GOOD, gpus=(card(memory=GB),)), engines=(OPENVINO, ONNX)) == ["card-small"]
    apple = Gpu("apple", "Apple M1", "integrated", driver="macos", runtime="Metal")
    assert keys(replace(GOOD, gpus=(apple,)), engines=(OPENVINO, cpu_only)) == ["card-unused"]


def test_ascend() -> None:
    chip = Gpu("ascend", "Ascend 310", "discrete", 8 * GB, 8 * GB, None, "ascend 22", "CANN 8.0")
    assert keys(replace(GOOD, gpus=(chip,))) == []
    assert keys(replace(GOOD, gpus=(replace(chip, runtime=""),))) == ["ascend-no-cann"]
    assert keys(replace(GOOD, gpus=(replace(chip, driver="", runtime=""),))) == ["ascend-no-driver"]


def test_engines() -> None:
    broken = EngineReport("openvino", True, error="it crashes")
    gone = EngineReport("onnx", False)
    assert keys(GOOD, engines=(broken, gone)) == ["no-engine", "engine-broken"]
    assert keys(GOOD, engines=(broken, ONNX)) == ["engine-broken"]
    assert keys(GOOD, engines=(EngineReport("openvino", False), ONNX)) == ["openvino-missing"]
    assert keys(GOOD, engines=(OPENVINO, gone, EngineReport("torch", False))) == []


def test_clock_and_hubs() -> None:
    answers, silent = HubReport("a", "https://a", True), HubReport("b", "https://b", False, reason="refused")
    assert keys(GOOD, hubs=(answers, silent)) == ["hub-silent"]
    assert keys(GOOD, hubs=(silent, silent)) == ["no-hub"]
    assert keys(GOOD, hubs=(replace(silent, reason="Using SOCKS proxy, but ..."),)) == ["socks-proxy"]
    assert keys(GOOD, hubs=None) == []
    assert keys(GOOD, hubs=(replace(answers, clock_ahead_seconds=-3e5),)) == ["clock-off"]
    assert keys(replace(GOOD, system=System(clock_seconds=0.0))) == ["clock-wrong"]
    assert keys(replace(GOOD, system=System(live=True))) == ["live"]


def test_no_rule_raises_over_nothing() -> None:
    for rule in RULES:
        assert {finding.key for finding in rule(Examination(Machine()))} <= {"memory-unknown"}


def test_sentences_and_gaps() -> None:
    for sentence, remedy in SENTENCES.values():
        assert sentence.endswith(".")
        names = {name for _, name, _, _ in string.Formatter().parse(sentence + remedy) if name is not None}
        assert all(name.isidentifier() for name in names)


def test_sizes_for_people() -> None:
    assert [size(n) for n in (0, 512_000_000, 999_400_000, 1_500_000_000, 271 * GB)] == [
        *("0 MB", "512 MB", "999 MB", "1.5 GB", "271 GB")
    ]
