"""Which packages tools/make_wheels.py fetches for another machine; fetching itself is tried in test_bare_root.py."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("pip._vendor.packaging", reason="this Python has no pip")


def names(repository: Path, platform: str, version: str) -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_wheels", repository / "tools" / "make_wheels.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    lock = (repository / "requirements.lock").read_text(encoding="utf-8")
    entries = list(made.requirements(lock, made.PLATFORMS[platform][0], version))
    assert all("--hash=sha256:" in entry and ";" not in entry for entry in entries)
    return dict(re.match(r"([\w.-]+)==(\S+)", entry).groups() for entry in entries)  # type: ignore[union-attr]


def test_markers_are_judged_by_the_other_machine(repository: Path) -> None:
    linux = names(repository, "linux", "3.12")
    assert {"numpy", "openvino", "onnxruntime", "pillow", "tokenizers"} <= set(linux)
    assert "colorama" not in linux
    assert "colorama" in names(repository, "windows", "3.12")
    old = names(repository, "linux", "3.10")
    assert "tomli" in old
    assert "tomli" not in linux
    assert old["numpy"] != linux["numpy"]


def test_the_windows_scripts_are_in_the_form_that_windows_reads(repository: Path) -> None:
    """PowerShell 5.1 reads a script in the system's code page, and cmd.exe wants its own line ends."""
    assert (repository / "start.ps1").read_bytes().isascii()
    batch = (repository / "start.bat").read_bytes()
    assert batch.isascii()
    assert batch.count(b"\r\n") == batch.count(b"\n") > 0
