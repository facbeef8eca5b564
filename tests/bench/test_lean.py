"""Pictures under a hard ceiling: the report, and one case of a miniature model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import cards, lean, runs
from bench.control_group import limited
from bench.entries import Entry, read_entries
from bench.lean_report import WARM, goals, lines_of
from bench.process import NotMeasured

ABOUT = {"date": "2026-01-01", "processor": "P", "cores": 2, "memory_gb": 8.0, "system": "Linux", "python": "3.11"}


def rows() -> dict[str, Entry]:
    drawn = {"group_peak_bytes": 256.0 * (1 << 20), "psnr_db": 44.0, "major_faults": 7}
    title = "tiny-sd 256 in 256 MB"
    return {
        title: Entry(drawn, {"pass_seconds": [4.0, 5.0, 4.5], "picture_seconds": [20.0]}),
        f"{title}: {WARM[0]}": Entry(samples={"pass_seconds": [0.30, 0.33]}),
        f"{title}: {WARM[1]}": Entry(samples={"pass_seconds": [0.09, 0.11]}),
        "tiny-sd 512 in 448 MB": Entry(reason="killed, as one that takes more memory than it may"),
    }


def test_marks() -> None:
    assert {goal.what: goal.met for goal in goals(rows())} == {
        "tiny-sd 256 in 256 MB: charged to the group": True,
        "tiny-sd 256 in 256 MB: to the resident picture": False,
        "tiny-sd 256 in 256 MB: a pass by resident int8's, files in memory": False,
        "tiny-sd 512 in 448 MB: charged to the group": None,
        "tiny-sd 512 in 448 MB: to the resident picture": None,
    }


def test_the_report() -> None:
    text = "\n".join(lines_of(ABOUT, {"threads": 2}, rows()))
    assert "| tiny-sd 256 in 256 MB | - | 20.0 | 4.50 | 256 | - | 7 | 44.0 |" in text
    assert "- tiny-sd 512 in 448 MB: not measured: killed" in text


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_case_in_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with limited(1 << 20):
            pass
    except NotMeasured as error:
        pytest.skip(str(error))
    # The whole machine's page cache is not for a test to drop.
    monkeypatch.setattr(lean, "forget_files", lambda: None)
    monkeypatch.setattr(cards, "WORK", tmp_path)
    monkeypatch.setattr(runs, "BARE", tmp_path / "bare")
    assert lean.main(["--quick", "--warm", "0", "--out", str(tmp_path), "--name", "run", "--threads", "1"]) == 0
    (entry,) = read_entries(json.loads((tmp_path / "run.json").read_text())).values()
    assert entry.reason is None
    assert entry.values["psnr_db"] >= 45
    assert len(entry.samples["pass_seconds"]) == 1
    assert "f32 on onnx, 2 steps" in entry.words["drawn"]
    assert 0 < entry.values["group_peak_bytes"] <= lean.QUICK.limit_mib << 20
    assert "miniature 64 in 192 MB" in (tmp_path / "run.md").read_text()
