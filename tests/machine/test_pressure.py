"""What Linux tells of memory, from files as it writes them, and when that is too much."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nutshell.machine.pressure import PAGE_BYTES, Judge, Pressure, read_pressure

MB = 1_000_000
STAT = "4711 (a (strange) name) R 1 4711 1 0 -1 4194304 9021 0 {faults} 0 12 3 0 0 20 0 4 0 1000 1 2\n"
PSI = "some avg10=0.74 avg60=0.61 avg300=0.16 total=8239654\nfull avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "pressure").mkdir()
    (tmp_path / "group").mkdir()
    (tmp_path / "self" / "stat").write_text(STAT.format(faults=321))
    (tmp_path / "self" / "status").write_text("Name:\tx\nVmRSS:\t  5 kB\nVmSwap:\t    2048 kB\nThreads:\t4\n")
    (tmp_path / "pressure" / "memory").write_text(PSI.format(total=2_500_000))
    return tmp_path


def test_files_are_read(proc: Path) -> None:
    assert read_pressure(proc, proc / "group") == Pressure(2.5, 321, 2048 * 1024)


def test_a_group_s_own_stalls_count(proc: Path) -> None:
    (proc / "group" / "memory.pressure").write_text(PSI.format(total=7_000_000))
    found = read_pressure(proc, proc / "group")
    assert found is not None
    assert found.stalled_seconds == 7.0


@pytest.mark.parametrize("text", ["", "full total=\n", "some total=3\n"])
def test_a_kernel_without_stalls(text: str, proc: Path) -> None:
    (proc / "pressure" / "memory").write_text(text)
    assert read_pressure(proc, proc / "group") == Pressure(None, 321, 2048 * 1024)
    (proc / "self" / "status").write_text("Name:\tx\n")
    assert read_pressure(proc, proc / "group") == Pressure(None, 321, 0)


@pytest.mark.parametrize("text", ["", "4711 (x", "4711 (x) R 1"])
def test_another_system(text: str, proc: Path) -> None:
    (proc / "self" / "stat").write_text(text)
    assert read_pressure(proc, proc / "group") is None
    assert read_pressure(proc / "none") is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_faults_are_those_that_the_system_counts() -> None:
    """Against getrusage, in a process of its own."""
    read = (
        "import resource; from nutshell.machine.pressure import read_pressure; "
        "print(read_pressure().faults, resource.getrusage(resource.RUSAGE_SELF).ru_majflt)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", read], env=environment, capture_output=True, text=True, check=True)
    seen, counted = map(int, done.stdout.split())
    assert 0 <= counted - seen <= 20


def judged(*looks: tuple[float, Pressure], read_bytes: int = 100 * MB) -> list[str]:
    judge = Judge(read_bytes)
    return [str(found) for now, pressure in looks if (found := judge.look(now, pressure)) is not None]


def test_reading_a_cold_file_is_no_storm() -> None:
    """A wait for each of its pages, as without read-ahead, at any speed."""
    pages = 100 * MB // PAGE_BYTES
    looks = [(0.25 * n, Pressure(0.0, pages * n // 20, 0)) for n in range(21)]
    assert judged(*looks) == []


def test_pages_read_again_and_again() -> None:
    pages = 100 * MB // PAGE_BYTES
    assert "again and again" in judged((0.0, Pressure(None, 50, 0)), (0.5, Pressure(None, 50 + 4 * pages, 0)))[0]


def test_stalls_count_by_their_share() -> None:
    def at(share: float) -> list[str]:
        return judged(*((0.25 * n, Pressure(9 + share * 0.25 * n, 0, 0)) for n in range(12)))

    assert at(0.2) == []
    assert "40% of the time" in at(0.4)[0]
    # A single short hiccup is none.
    hiccup = [(0.25 * n, Pressure(0.4 if n > 3 else 0.0, 0, 0)) for n in range(12)]
    assert judged(*hiccup) == []


def test_swapping_back_and_forth() -> None:
    def at(swapped: int, waits: int) -> list[str]:
        return judged(*((float(n), Pressure(None, waits * n, 5 * MB + swapped * n)) for n in range(4)))

    assert "to the disk and back" in at(50 * MB, 300)[0]
    # Idle pages that go to swap once, and a file that is read while nothing is swapped.
    assert at(50 * MB, 3) == []
    assert at(0, 300) == []
