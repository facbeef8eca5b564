"""The built-in artist on imitated older x86 processors draws what it draws on this one."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nutshell.machine.kernel_limits import VARIABLES

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason=f"imitates older x86 processors, this is {platform.machine()}"
)


def drawn(folder: Path, limits: Mapping[str, str]) -> list[npt.NDArray[Any]]:
    """The two pictures of the program, as numbers."""
    paths = [folder / "words.png", folder / "picture.png"]
    plain = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("old_processor.py")), *map(str, paths)],
        env={**plain, "NUTSHELL_CONFIG": "", **limits},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [np.asarray(Image.open(path).convert("RGB"), np.float64) for path in paths]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> list[npt.NDArray[Any]]:
    return drawn(tmp_path_factory.mktemp("native"), {})


@pytest.mark.parametrize("instructions", ["SSE41", "AVX2"])
def test_the_same_pictures(instructions: str, native: list[npt.NDArray[Any]], tmp_path: Path) -> None:
    for got, wanted in zip(drawn(tmp_path, dict.fromkeys(VARIABLES, instructions)), native, strict=True):
        assert wanted.std() > 10
        error = float(np.mean((got - wanted) ** 2))
        # A value in a thousand may be rounded to the other side.
        assert error == 0 or 10 * math.log10(255**2 / error) >= 70
