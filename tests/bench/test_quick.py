"""The whole measurement on a miniature model, with Nutshell's own rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.measure import Setting, measure
from bench.models import SPECS, build
from bench.rows import Row, chosen

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@linux
def test_quick_run_writes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "WORK", tmp_path / "work")
    arguments = ["--quick", "--engines", "nutshell openvino f32,nutshell onnx", "--out", str(tmp_path), "--name", "run"]
    assert bench.main(arguments) == 0
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert [entry["row"] for entry in results] == ["nutshell openvino", "nutshell onnx"]
    for entry in results:
        assert entry["reason"] is None
        assert 0 < entry["median_step_seconds"] < entry["load_seconds"]
        assert entry["picture_seconds"] > 0
        assert 0 < entry["anonymous_bytes"] < entry["peak_bytes"]
        assert entry["install_bytes"] > 100_000_000
    assert "miniature, 64 x 64 pixels" in (tmp_path / "run.md").read_text()


@linux
def test_row_that_cannot_run_says_why(tmp_path: Path) -> None:
    folder = build(SPECS["miniature"], tmp_path / "model")
    setting = Setting("miniature", str(folder), 64, 1, 1, 2, 10**6)
    rows = [Row("nowhere", "nobody", "f32", ("no-such-package",)), *chosen(["nutshell onnx"], False)]
    lost, found = measure(setting, rows, lambda line: None)
    assert lost.reason is not None
    assert "nobody" in lost.reason
    assert lost.install_bytes is None
    assert found.reason is None
    assert found.picture_peak_bytes is not None


def test_rows_are_chosen_by_the_beginning_of_their_titles() -> None:
    assert [row.title for row in chosen(["nutshell openvino"], True)] == [
        "nutshell openvino bf16",
        "nutshell openvino f32",
    ]
    assert all(row.precision == "f32" for row in chosen(None, False))
