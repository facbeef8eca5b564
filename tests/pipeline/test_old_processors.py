"""The built-in artist on imitated older x86 processors draws what it draws on this one."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bench.cpuid import can_hide
from nutshell.machine.kernel_limits import VARIABLES

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason=f"imitates older x86 processors, this is {platform.machine()}"
)


ROOT = Path(__file__).parents[2]


def drawn(folder: Path, engine: str, *shown: str, **limits: str) -> list[npt.NDArray[Any]]:
    """The two pictures of the program, as numbers."""
    paths = [folder / "words.png", folder / "picture.png"]
    plain = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    plain |= {"NUTSHELL_CONFIG": "", "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("old_processor.py")), engine, *map(str, paths), *shown],
        env={**plain, **limits},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [np.asarray(Image.open(path).convert("RGB"), np.float64) for path in paths]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> list[npt.NDArray[Any]]:
    return drawn(tmp_path_factory.mktemp("native"), "openvino")


def assert_same(got: list[npt.NDArray[Any]], wanted: list[npt.NDArray[Any]]) -> None:
    for mine, theirs in zip(got, wanted, strict=True):
        assert theirs.std() > 10
        error = float(np.mean((mine - theirs) ** 2))
        # Two values in a hundred may be rounded to the other side.
        assert error == 0 or 10 * math.log10(255**2 / error) >= 65


@pytest.mark.parametrize("instructions", ["SSE41", "AVX2"])
def test_openvino_draws_the_same_pictures(instructions: str, native: list[npt.NDArray[Any]], tmp_path: Path) -> None:
    assert_same(drawn(tmp_path, "openvino", **dict.fromkeys(VARIABLES, instructions)), native)


@pytest.mark.parametrize("name", ["sse41", "avx2"])
def test_onnx_runtime_draws_the_same_pictures(name: str, native: list[npt.NDArray[Any]], tmp_path: Path) -> None:
    """Its kernels have no switch: the processor's answers are changed."""
    if not can_hide():
        pytest.skip("this kernel or processor does not let CPUID fault")
    assert_same(drawn(tmp_path, "onnx", name), native)
