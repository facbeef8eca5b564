"""The writer of tables and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.measure import Figures, paired_ratio
from bench.report import as_markdown, marks, write

MACHINE = {
    "processor": "An Old Laptop",
    "instruction_sets": ["avx2"],
    "cores": 2,
    "memory_gb": 8.0,
    "system": "Linux 6.1 x86_64",
    "python": "3.11.7",
    "versions": {"openvino": "2026.4.1"},
    "date": "2026-01-01 12:00 UTC",
}
SETTINGS = {"threads": 2, "rounds": 3}


def figures(row: str, steps: list[float], load: float | None = 2.0) -> Figures:
    return Figures("tiny-sd", 256, row, "f32", step_seconds=steps, load_seconds=load)


@pytest.fixture
def results() -> list[Figures]:
    ours = figures("nutshell openvino", [1.0, 1.0, 1.0])
    ours.peak_bytes, ours.anonymous_bytes, ours.file_bytes = 900_000_000, 700_000_000, 70_000_000
    converted = figures("openvino converted", [1.0, 0.9, 2.0], 10.0)
    converted.picture_seconds, converted.picture_steps_run = 30.0, 4
    missing = figures("openvino-genai", [], None)
    missing.reason = "not installed"
    return [ours, converted, missing]


def test_ratio_pairs_steps_of_the_same_round(results: list[Figures]) -> None:
    assert paired_ratio(results[0], results[1]) == pytest.approx(1.0)
    assert paired_ratio(results[0], results[2]) is None


def test_rows_that_did_not_take_turns_have_no_ratio(results: list[Figures]) -> None:
    results[1].turn = 1
    assert paired_ratio(results[0], results[1]) is None


def test_marks_hold_ours_to_the_converted_model(results: list[Figures]) -> None:
    step, load = marks(results)
    assert (step.found, step.met) == (pytest.approx(1.0), True)
    assert (load.found, load.met) == (pytest.approx(5.0), True)
    results[0].step_seconds = [1.1, 1.1, 2.2]
    assert marks(results)[0].met is False


def test_mark_without_a_measurement_is_neither_met_nor_missed(results: list[Figures]) -> None:
    results[1].step_seconds, results[1].load_seconds = [], None
    assert [mark.met for mark in marks(results)] == [None, None]


def test_table_shows_every_row_and_why_one_is_missing(results: list[Figures]) -> None:
    text = as_markdown(MACHINE, SETTINGS, results)
    assert "## tiny-sd, 256 x 256 pixels" in text
    assert "| nutshell openvino f32 | 1.000 | 1.00 | 2.0 | - | 900 | - | 700 + 70 | - |" in text
    assert "- openvino-genai f32: not measured: not installed" in text
    widths = {line.count("|") for line in text.split("## Marks")[0].splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_extrapolation_is_labelled(results: list[Figures]) -> None:
    text = as_markdown(MACHINE, SETTINGS, results)
    assert "picture s *" in text
    assert "20 steps, extrapolated: 4 were run" in text
    results[1].picture_steps_run = 20
    assert "extrapolated" not in as_markdown(MACHINE, SETTINGS, results)


def test_files_hold_the_same(results: list[Figures], tmp_path: Path) -> None:
    table, text = write(tmp_path / "new", "today", MACHINE, SETTINGS, results)
    content = json.loads(table.read_text())
    assert content["machine"]["processor"] == "An Old Laptop"
    assert content["results"][1]["step_seconds"] == [1.0, 0.9, 2.0]
    assert content["results"][0]["median_step_seconds"] == 1.0
    assert content["marks"][0]["met"] is True
    assert text.read_text() == as_markdown(MACHINE, SETTINGS, results)
