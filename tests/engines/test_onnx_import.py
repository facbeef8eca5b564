"""Importing ONNX Runtime writes nothing and keeps no number of this machine: its telemetry stays out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
OPENED = "from nutshell.engines import open_engine; open_engine('onnx')"
ASKED = "from nutshell.engines.ports import ask_engines; (report,) = ask_engines(['onnx']); assert not report.error"


@pytest.mark.parametrize("words", [OPENED, ASKED])
def test_the_home_stays_empty(tmp_path: Path, words: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    environment = {**kept, "HOME": str(tmp_path), "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", words], env=environment, check=True, timeout=120)
    assert [str(path) for path in tmp_path.rglob("*")] == []
