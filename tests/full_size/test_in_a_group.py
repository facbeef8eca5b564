"""Known models in full size, random weights in half precision, in memory control groups: whole runs, killed if they
take more, from files that are not in the page cache, drawing what they draw with all memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.models import SPECS, build
from tests.groups import MB, drawn, forgotten, memory_group, peak_bytes, psnr

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

# Model, its autoencoder, pixels, limit in MB. The last needs its decoder in strips.
RUNS = [("tiny-sd", "tiny", 256, 256), ("tiny-sd", "tiny", 512, 448), ("sd15", "tiny", 512, 640)]
RUNS += [("tiny-sd", "kl", 512, 448)]
# Of the same run in float32 with everything loaded: predicted by the plan, and some more.
RESIDENT_BYTES = 7_500_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Up to 2 GB."""
    yield tmp_path / "model"
    shutil.rmtree(tmp_path / "model", ignore_errors=True)


@pytest.mark.parametrize(("name", "vae", "side", "limit_mb"), RUNS)
def test_a_whole_picture_under_a_ceiling(
    name: str, vae: str, side: int, limit_mb: int, folder: Path, tmp_path: Path
) -> None:
    words = ("--model", str(folder), "--size", str(side), "--steps", "1", "--vae", "full")
    with memory_group(limit_mb) as group:
        build(SPECS[name], folder, vae=vae)
        forgotten(folder)
        lean = drawn(tmp_path / "lean.png", *words, "--max-memory", f"{limit_mb}M", group=group, timeout=3000)
        assert 0 < peak_bytes(group) <= limit_mb * MB
    assert np.asarray(lean).std() > 5, "a picture of one colour would prove nothing"
    if psutil.virtual_memory().available < RESIDENT_BYTES:
        pytest.skip("it was drawn, and there is no memory to compare it with all stages loaded")
    resident = drawn(tmp_path / "resident.png", *words, "--engine", "openvino", "--precision", "f32", timeout=3000)
    assert psnr(lean, resident) >= 45
