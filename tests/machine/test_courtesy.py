"""Priorities as the system itself tells them, of a process of its own: there is no way back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from nutshell.machine.courtesy import Courtesy, _windows, ioprio_number

REPOSITORY = Path(__file__).parents[2]
POLITE = """
import ctypes, json, os, sys, threading
import psutil
from nutshell.machine.courtesy import be_polite

meet = threading.Barrier(2)
before = threading.Thread(target=lambda: (meet.wait(), meet.wait()), daemon=True)
before.start()
meet.wait()
done = be_polite()
seen = {}
after = threading.Thread(target=lambda: seen.setdefault("after", os.getpriority(os.PRIO_PROCESS, 0)))
after.start()
after.join()
get = ctypes.CDLL(None).syscall
for name, thread in (("main", os.getpid()), ("before", before.native_id)):
    seen[name] = os.getpriority(os.PRIO_PROCESS, thread)
number = int(sys.argv[1])
seen["disk"] = [get(ctypes.c_long(number), 1, thread) >> 13 for thread in (os.getpid(), before.native_id)]
seen["psutil"] = int(psutil.Process().ionice().ioclass)
print(json.dumps([done.processor, done.disk, seen]))
"""
# asm/unistd_64.h of x86 and the common numbers: ioprio_get stands after ioprio_set.
IOPRIO_GET = {"x86_64": 252, "aarch64": 31}


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_every_thread_gives_way() -> None:
    machine = os.uname().machine
    if machine not in IOPRIO_GET:
        pytest.skip(f"how to ask {machine} is not known here")
    words = [sys.executable, "-c", POLITE, str(IOPRIO_GET[machine])]
    found = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}, capture_output=True, check=True
    )
    processor, disk, seen = json.loads(found.stdout)
    assert (processor, disk) == (True, True)
    assert (seen["main"], seen["before"], seen["after"]) == (19, 19, 19)
    assert seen["disk"] == [3, 3]
    assert seen["psutil"] == int(psutil.IOPRIO_CLASS_IDLE)


@pytest.mark.parametrize(
    ("machine", "bits", "number"),
    [
        *[("x86_64", 64, 251), ("x86_64", 32, 289), ("i686", 32, 289), ("aarch64", 64, 30), ("aarch64", 32, 314)],
        *[("armv7l", 32, 314), ("riscv64", 64, 30), ("loongarch64", 64, 30), ("mips", 32, None)],
    ],
)  # fmt: skip
def test_the_number_of_the_call(machine: str, bits: int, number: int | None) -> None:
    """A wrong number would call something else."""
    assert ioprio_number(machine, bits) == number


def test_windows_priorities_without_its_background_mode() -> None:
    asked: list[Any] = []
    names = SimpleNamespace(Error=psutil.Error, IDLE_PRIORITY_CLASS="idle", IOPRIO_VERYLOW="very low")

    def refuse(value: Any) -> None:
        raise psutil.AccessDenied(1)

    assert _windows(SimpleNamespace(nice=asked.append, ionice=asked.append), names) == Courtesy(True, True)
    assert asked == ["idle", "very low"]
    assert _windows(SimpleNamespace(nice=asked.append, ionice=refuse), names) == Courtesy(True, False)
