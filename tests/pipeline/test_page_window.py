"""Mapped weights under a ceiling: real pages of a real file, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from random import Random

import pytest

from nutshell.pipeline.page_window import page_window

MB = 1_000_000
READ = """
import contextlib, json, mmap, sys, time
import numpy as np
from nutshell.machine import PeakMeter
from nutshell.pipeline.page_window import page_window
path, room = sys.argv[1], int(sys.argv[2])
with open(path, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
ceiling = PeakMeter().bytes() + room
meter, total = PeakMeter(), 0
values = np.frombuffer(mapped, np.uint8)
window = page_window(ceiling, lambda: mapped.madvise(mmap.MADV_DONTNEED)) if room else contextlib.nullcontext()
with window:
    for _ in range(3):
        for part in values.reshape(300, -1):
            total += int(part[::4096].sum())
            time.sleep(0.004)  # two hundred megabytes a second, so that a busy machine does not decide
print(json.dumps({"over": meter.bytes() - ceiling, "total": total}))
"""


def read(path: Path, room: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), str(room)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and drops pages")
def test_pages_are_dropped_before_the_ceiling_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(Random(1).randbytes(1 << 20) * 300)
    free, held = read(path, 0), read(path, 120 * MB)
    assert free["over"] > 250 * MB
    assert held["over"] < 0
    assert held["total"] == free["total"] > 0


def test_nothing_is_dropped_where_there_is_room() -> None:
    dropped: list[int] = []
    with page_window(1 << 50, lambda: dropped.append(1)):
        threading.Event().wait(0.05)
    assert not dropped


def test_a_ceiling_below_what_is_not_of_files_does_not_drop_for_ever() -> None:
    dropped: list[int] = []
    with page_window(1, lambda: dropped.append(1)):
        threading.Event().wait(0.1)
    assert not dropped


def test_the_watch_ends_with_the_block() -> None:
    with pytest.raises(KeyError), page_window(1 << 50, lambda: None):
        raise KeyError
    assert "page window" not in {thread.name for thread in threading.enumerate()}
