"""Stable Diffusion 1.5 in full size becomes tiny-sd in well under a gigabyte of memory, and draws."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nutshell
from bench.models import SPECS, build
from nutshell.networks.unet_config import UNetConfig
from nutshell.pipeline.facts import read_unet
from nutshell.weights import open_checkpoint

pytestmark = pytest.mark.slow

MADE = """
import json, sys
from pathlib import Path
from nutshell.compress.job import write_model
from nutshell.compress.original import open_original
from nutshell.compress.prune import Prune
from nutshell.compress.quantize import Quantize
from nutshell.compress.recipes import Wishes
from nutshell.machine import PeakMeter

meter = PeakMeter()
source, output, method = sys.argv[1:]
how = Prune(Wishes("tiny")) if method == "prune" else Quantize("int4")
made = write_model(open_original(source), how, Path(output), lambda *_: None)
peak = meter.bytes()
print(json.dumps({"parameters": made.parameters, "peak_bytes": peak}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Half precision, a tiny autoencoder: 2 GB."""
    place = tmp_path_factory.mktemp("compress")
    yield build(SPECS["sd15"], place / "sd15", vae="tiny")
    shutil.rmtree(place)


def made(source: Path, output: Path, method: str) -> dict[str, list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", MADE, str(source), str(output), method],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[int]] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif(sys.platform != "linux", reason="pages that were read are let go of on Linux")
def test_it_becomes_tiny_and_then_small_on_disk(folder: Path) -> None:
    tiny, small = folder.parent / "tiny", folder.parent / "small"
    answer = made(folder, tiny, "prune")
    assert answer["peak_bytes"] < 1_000_000_000  # type: ignore[operator]
    assert answer["parameters"][0] - answer["parameters"][1] == 859_520_964 - 323_384_964
    with open_checkpoint(tiny).open("unet") as part:
        assert read_unet(part) == UNetConfig.read(SPECS["tiny-sd"].unet)
        assert sum(tensor.size for tensor in part.weights.tensors()) == 323_384_964
    shutil.rmtree(folder)
    answer = made(tiny, small, "quantize")
    assert answer["peak_bytes"] < 1_000_000_000  # type: ignore[operator]
    assert (small / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size < 0.35 * 2 * 323_384_964
    with nutshell.load(small, learn=False) as model:
        picture = model.generate("a lighthouse at dusk", width=128, height=128, steps=1, guidance=1.0, seed=1)
    assert picture.image.size == (128, 128)
