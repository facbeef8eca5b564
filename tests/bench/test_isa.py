"""Older processors, imitated: what is hidden, what is measured, and what goes into the planner's table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import isa
from bench.cpuid import _Answers, can_hide
from bench.isa import IsaFigures
from bench.isa_report import as_markdown, merged, table_rows
from bench.older_sets import SETS
from nutshell.machine import Cpu, probe_processor
from nutshell.machine.kernel_limits import kernel_cpu
from nutshell.plan.instruction_sets import PATH, Times, read_rows, set_class

linux_x86 = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="CPUID is asked, and memory read from /proc"
)

# The names of /proc/cpuinfo, where the kernel has looked by itself.
BITS = {
    "avx": (1, 0, "ecx", 28),
    "fma": (1, 0, "ecx", 12),
    "f16c": (1, 0, "ecx", 29),
    "sse4_2": (1, 0, "ecx", 20),
    "avx2": (7, 0, "ebx", 5),
    "avx512f": (7, 0, "ebx", 16),
    "avx512vl": (7, 0, "ebx", 31),
    "avx512_vnni": (7, 0, "ecx", 11),
    "amx_int8": (7, 0, "edx", 25),
    "avx_vnni": (7, 1, "eax", 4),
    "avx512_bf16": (7, 1, "eax", 5),
}


def shown(hidden: Any, bit: tuple[int, int, str, int]) -> bool:
    leaf, subleaf, register, place = bit
    value = _Answers(hidden).values(leaf, subleaf)[("eax", "ebx", "ecx", "edx").index(register)]
    return bool(value >> place & 1)


@linux_x86
def test_cpuid_says_what_the_kernel_says() -> None:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    flags = next(line.split() for line in text.splitlines() if line.startswith("flags"))
    assert {name for name, bit in BITS.items() if shown((), bit)} == BITS.keys() & set(flags)


@linux_x86
@pytest.mark.parametrize("older", SETS[1:], ids=lambda older: older.name)
def test_nothing_newer_is_shown(older: Any) -> None:
    visible = {name for name, bit in BITS.items() if shown(older.hidden, bit)}
    extra = {"avx512vl"} if "avx512f" in older.features else set()
    assert visible <= older.features | extra
    # And nothing that it has is hidden.
    assert visible >= (older.features & probe_processor().cpu.features)


@pytest.mark.parametrize("older", SETS[1:], ids=lambda older: older.name)
def test_a_set_is_the_class_of_its_name(older: Any) -> None:
    found = set_class(Cpu(architecture="x86_64", features=older.features))
    assert found is not None
    assert found.name == older.name
    everything = Cpu(architecture="x86_64", features=frozenset(BITS) | {"avx_vnni"})
    limited = kernel_cpu(everything, {"ONEDNN_MAX_CPU_ISA": older.variable}).features
    assert limited == older.features & everything.features


PROGRAM = """\
import os, signal, sys
from bench.cpuid import run_hidden
from bench.older_sets import SETS

def look():
    from bench.isa_pass import seen_features
    import threading
    import onnxruntime
    thread = threading.Thread(target=lambda: print("thread"))
    thread.start()
    thread.join()
    print(*seen_features())

for work in (look, lambda: sys.exit(3), lambda: os.kill(os.getpid(), signal.SIGKILL)):
    print(run_hidden(work, SETS[int(sys.argv[1])].hidden), flush=True)
"""


@linux_x86
def test_a_process_sees_an_older_processor() -> None:
    if not can_hide():
        pytest.skip("this kernel or processor does not let CPUID fault")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    for place, wanted in ((3, "AVX AVX2"), (4, "")):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(place)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout.splitlines() == ["thread", wanted, "0", "3", "137"], done.stderr


@linux_x86
def test_a_quick_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table.json"
    table.write_text(PATH.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(isa, "PATH", table)
    monkeypatch.setattr(isa, "WORK", tmp_path / "work")
    words = ["--quick", "--sets", "native,sse41", "--precisions", "f32,int8", "--threads", "1", "--save"]
    assert isa.main([*words, "--out", str(tmp_path), "--name", "run"]) == 0
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert [(row["set"], row["engine"], row["precision"]) for row in results] == [
        (name, engine, precision)
        for name in ("native", "sse41")
        for engine in ("openvino", "onnx")
        for precision in ("f32", "int8")
    ]
    hidden = can_hide()
    for row in results:
        if row["set"] == "sse41" and row["engine"] == "onnx" and not hidden:
            assert row["reason"] == isa.NO_SWITCH
            continue
        assert row["reason"] is None
        assert 0 < row["median_seconds"] < row["load_seconds"]
        assert 0 < row["anonymous_bytes"] < row["peak_bytes"]
        if row["set"] == "sse41" and hidden:
            assert row["seen"] == []
    rows = {(row.set, row.engine, row.precision): row for row in read_rows(table.read_text(encoding="utf-8"))}
    assert "run.md" in rows["sse41", "openvino", "int8"].source
    assert rows["sse41", "openvino", "int8"].basis == "measured"
    before = {(row.set, row.engine, row.precision): row for row in read_rows(PATH.read_text(encoding="utf-8"))}
    assert rows["avx512", "openvino", "int8"] == before["avx512", "openvino", "int8"]


def row(name: str, engine: str, precision: str, *seconds: float, reason: str | None = None) -> IsaFigures:
    return IsaFigures("tiny-sd", 512, name, engine, precision, "variables", list(seconds), reason=reason)


ROWS = [
    row("native", "openvino", "f32", 1.0, 1.2, 1.1),
    row("native", "openvino", "int8", 0.5, 0.6, 0.44),
    row("avx2", "openvino", "f32", 2.0, 2.0, 2.2),
    row("avx2", "openvino", "int8", 3.0, 3.0, 3.3),
    row("avx2", "onnx", "f32", 4.0, 4.0, 4.0),
    row("avx2", "onnx", "int8", reason="a reason"),
]
ABOUT: dict[str, Any] = {
    "date": "2026-11-22",
    "processor": "a processor",
    "instruction_sets": ["avx2"],
    "cores": 2,
    "memory_gb": 8.0,
    "system": "Linux",
    "python": "3.11",
    "versions": {"openvino": "2026.4.1"},
}


def test_the_report() -> None:
    lines = as_markdown(ABOUT, {"threads": 2}, ROWS).splitlines()
    cells = {tuple(line.split(" | ")[:3]): line.split(" | ")[3:7] for line in lines if line.startswith("| ")}
    # Seconds, then by f32 (paired), by OpenVINO, by native.
    assert cells["| native", "openvino", "int8"] == ["0.5000", "0.50", "0.45", "1.00"]
    assert cells["| AVX2", "openvino", "int8"] == ["3.0000", "1.50", "1.50", "6.00"]
    assert cells["| AVX2", "onnx", "f32"] == ["4.0000", "1.00", "2.00", "-"]
    assert cells["| AVX2", "onnx", "int8"] == ["-", "-", "-", "-"]
    assert "- AVX2, onnx int8: not measured: a reason" in lines


def test_rows_for_the_table() -> None:
    cpu = Cpu(architecture="x86_64", features=frozenset({"avx2", "avx512f", "avx512_vnni"}))
    made = table_rows(ROWS, cpu, "bench/results/x.md")
    assert [(each.set, each.engine, each.precision, each.times) for each in made] == [
        ("avx512_vnni", "openvino", "int8", 0.455),
        ("avx2", "openvino", "int8", 1.5),
        ("avx2", "onnx", "f32", 2.0),
    ]
    assert made[1].source == "tiny-sd, 512 pixels, imitated by variables: 3 s over 2 s (bench/results/x.md)"
    old = (
        Times("avx2", "openvino", "int8", 9.0, "guess", "old"),
        Times("amx", "openvino", "int8", 0.2, "guess", "old"),
    )
    assert merged(old, made) == (old[1], made[0], made[1], made[2])


def test_what_the_processor_lacks_is_not_imitated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poor = Cpu(architecture="x86_64", features=frozenset({"sse4_2", "avx", "avx2", "fma", "f16c"}))
    rows = [row("avx512", "openvino", "f32")]
    monkeypatch.setattr(isa, "Child", lambda *_: pytest.fail("a process was started"))
    isa._measure(rows, SETS[1], poor, False, "", isa._options(["--quick"]), lambda line: None)
    assert rows[0].reason == "this processor has no avx512f to imitate it with"
    onnx = [row("sse41", "onnx", "f32")]
    isa._measure(onnx, SETS[4], poor, False, "", isa._options(["--quick"]), lambda line: None)
    assert onnx[0].reason == isa.NO_SWITCH
