"""Running the command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FAKE = [sys.executable, str(HERE / "fake.py")]
REAL = [sys.executable, "-m", "nutshell.cli.main"]

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**changes: str) -> dict[str, str]:
    """This process's, with the source tree first, without the user's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUTSHELL_", "LC_", "FAKE_"))}
    kept.pop("NO_COLOR", None)
    source = str(HERE.parents[1] / "src")
    return {**kept, "NUTSHELL_CONFIG": "", "PYTHONPATH": source, "LANG": "C.UTF-8", **changes}


@pytest.fixture
def nutshell(tmp_path: Path) -> Run:
    """Run `nutshell` with the fake model in an empty folder; real=True for the real program."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*words: str, real: bool = False, env: dict[str, str] | None = None, **options: Any) -> Any:
        options = {"capture_output": True, "encoding": "utf-8", "timeout": 60, "cwd": folder, **options}
        return subprocess.run([*(REAL if real else FAKE), *words], env=environment(**(env or {})), **options)

    return run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that `nutshell` runs in."""
    return tmp_path / "work"
