"""Eight bits are made of a half-precision file layer by layer: never a second copy of all of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.int8_memory import PARAMETERS, write

# One copy that the graph holds, one that the engine packs; of the file at most 64 MB at a time; and buffers.
MOST_MEGABYTES = 2 * PARAMETERS / 1e6 + 64 + 80


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux")
def test_compiling_in_eight_bits_holds_no_second_copy(tmp_path: Path) -> None:
    write(tmp_path / "weights.safetensors")
    peaks = {}
    for precision in ("int8", "f32"):
        program = [sys.executable, "-m", "tests.pipeline.int8_memory", str(tmp_path / "weights.safetensors"), precision]
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        peaks[precision] = float(done.stdout)
    assert peaks["int8"] < MOST_MEGABYTES
    # What a copy in float32 would add is what the same network takes in float32.
    assert peaks["f32"] > 1.5 * peaks["int8"]
