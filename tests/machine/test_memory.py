"""Memory readings against the system's own, and against recorded control groups."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nutshell.machine import available_bytes, probe
from nutshell.machine.memory import available_bytes as available_in

GIB = 2**30


def test_available_is_what_the_system_says() -> None:
    assert 0 < available_bytes() <= psutil.virtual_memory().total


def test_a_container_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{GIB // 4}\n")
    (tmp_path / "memory.current").write_text(f"{GIB // 8}\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 1000\n")
    assert available_in(tmp_path) == GIB // 8 + 1000


def test_an_old_container_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(str(GIB // 4))
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text(str(GIB))
    assert available_in(tmp_path) == 0


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096), "nonsense", ""])
def test_no_limit_and_nonsense_do_not_count(limit: str, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("5")
    assert available_in(tmp_path) > GIB // 16


def test_peak_sees_memory_that_is_gone_again() -> None:
    # In a process of its own, and by mmap: a large one may hold freed memory that a new block would reuse.
    code = (
        "import mmap; from nutshell.machine import PeakMeter\n"
        "meter = PeakMeter(); before = meter.bytes()\n"
        "block = mmap.mmap(-1, 40_000_000); block.write(b'x' * 40_000_000); block.close()\n"
        "print(meter.bytes() - before)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 30_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can start the peak anew")
def test_a_new_meter_forgets_the_old_peak() -> None:
    # In a process of its own: this one may hold freed memory that the system has not taken back.
    code = (
        "import mmap; from nutshell.machine import PeakMeter\n"
        "block = mmap.mmap(-1, 200_000_000); block.write(b'x' * 200_000_000); first = PeakMeter().bytes()\n"
        "block.close(); print(first - PeakMeter().bytes())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 150_000_000


def test_probe_is_sane() -> None:
    machine = probe()
    assert machine.cores >= 1
    assert machine.usable_bytes > psutil.Process().memory_info().rss
