"""Importing OpenVINO starts no process, opens no connection, writes nothing: its telemetry stays out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nutshell.engines import open_engine

SOURCE = Path(__file__).parents[2] / "src"
# In these the telemetry keeps silent of itself, and nothing would be tested.
CI_VARIABLES = ("CI", "TF_BUILD", "JENKINS_URL")


def run(*words: str, home: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in CI_VARIABLES}
    environment = {**kept, "HOME": str(home), "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_leaves_the_process(tmp_path: Path) -> None:
    assert run(str(Path(__file__).with_name("silent_import.py")), home=tmp_path) == "[]"
    assert not list(tmp_path.iterdir())


def test_the_rest_of_the_program_keeps_its_telemetry(tmp_path: Path) -> None:
    """Only OpenVINO's own import goes without: a package that somebody else wants is left importable."""
    pytest.importorskip("openvino_telemetry")
    words = "import nutshell.engines.openvino_library as l, openvino, openvino_telemetry; print(l.openvino is openvino)"
    assert run("-c", words, home=tmp_path) == "True"


def test_openvino_is_whole() -> None:
    from nutshell.engines.openvino_library import openvino

    open_engine("openvino")
    assert callable(openvino.convert_model)
