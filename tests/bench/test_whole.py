"""Whole pictures: the report, and rows of a miniature model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from bench import cards, runs, whole
from bench.entries import Entry, Journal
from bench.whole import Row, turns
from bench.whole_report import BASE, FAST, GUIDED, OURS, goals, lines_of

ABOUT = {"date": "2026-01-01", "processor": "P", "cores": 2, "memory_gb": 8.0, "system": "Linux", "python": "3.11"}


def entry(*seconds: float, peak: float = 7e8, steady: float = 5e8) -> Entry:
    memory = {"peak_bytes": peak, "steady_bytes": steady, "peak_anonymous_bytes": 4e8, "peak_file_bytes": 3e8}
    return Entry(memory, {"picture_seconds": list(seconds)})


def rows() -> dict[str, Entry]:
    return {
        f"tiny-sd 512: {OURS}": entry(10.0, 12.0, 10.5),
        f"tiny-sd 512: {FAST}": entry(6.0, 6.0, 6.0),
        "tiny-sd 512: openvino-genai bf16": entry(20.0, 12.0, 21.0, peak=1.4e9),
        "tiny-sd 512: diffusers bf16": Entry(reason="no module"),
        f"tiny-sd 512, one saving: {BASE}": entry(10.0),
        "tiny-sd 512, one saving: reuse of 3": entry(5.0),
        f"tiny-sd 512, one saving: {GUIDED}": entry(20.0),
        "tiny-sd 512, one saving: interval of 0 to 0.75": entry(16.0),
        "artist: pictures, nothing left out": Entry(values={"judge_percent": 80.0}, samples={"picture_seconds": [1.0]}),
        "artist: pictures, reuse of 3": Entry(values={"judge_percent": 79.0, "psnr_db": 28.0, "least_psnr_db": 20.0}),
    }


def test_marks() -> None:
    found = goals(rows())
    assert [goal.met for goal in found] == [True, True, True, True]
    assert found[-1].found == pytest.approx(1.75)
    worse = rows() | {f"tiny-sd 512: {OURS}": entry(11.0, peak=7.6e8, steady=6.1e8)}
    assert [goal.met for goal in goals(worse)][:3] == [False, False, False]


def test_the_report() -> None:
    text = "\n".join(lines_of(ABOUT, {"threads": 2}, rows()))
    assert "| nutshell int8 | 10.50 | 1.00 | 700 | 400 + 300 | 500 | - |" in text
    assert "| openvino-genai bf16 | 20.00 | 2.00 | 1400 |" in text
    assert "| reuse of 3 | 5.00 | 2.00 |" in text
    # Of a picture with guidance the interval saves, not of one without.
    assert "| interval of 0 to 0.75 | 16.00 | 1.25 |" in text
    assert "| reuse of 3 |  | - | 28.0 | 20.0 | 79.0 |" in text
    assert "- tiny-sd 512: diffusers bf16: not measured: no module" in text


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_rows_of_a_miniature_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "WORK", tmp_path)
    monkeypatch.setattr(whole, "BARE", tmp_path / "bare")
    monkeypatch.setattr(whole, "CARDS", tmp_path / "cards")
    monkeypatch.setattr(runs, "BARE", tmp_path / "bare")
    options = argparse.Namespace(model="miniature", rounds=2, rows=None, steps=5, threads=1)
    journal = Journal(tmp_path / "rows.json", lambda _: None, {}, lambda _: None)
    given = (
        Row("in f32", ("--precision", "f32"), card=False),
        Row("not ahead", ("--precision", "f32"), card=False, ahead=False, once=True),
        Row("the full decoder", ("--precision", "f32"), card=False),
        Row("nobody", peer="nobody", precision="int8"),
        Row("no card", ("--precision", "int8")),
    )
    turns(journal, "miniature 64", given, 64, options)
    found = {title.removeprefix("miniature 64: "): row for title, row in journal.entries.items()}
    assert [len(found[title].samples["picture_seconds"]) for title in ("in f32", "not ahead")] == [2, 1]
    assert found["in f32"].words["drawn"].startswith("f32 on ")
    assert found["in f32"].values["peak_bytes"] > found["in f32"].values["peak_anonymous_bytes"] > 0
    assert "nobody" in str(found["nobody"].reason)
    assert "calibrate" in str(found["no card"].reason)


def test_another_saving_may_be_named() -> None:
    row = whole._also("more=--merge 0.25 --fewer-keys")
    assert (row.title, row.flags[-3:]) == ("more", ("--merge", "0.25", "--fewer-keys"))
