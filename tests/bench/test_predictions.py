"""Plans beside real runs: what the table says, and one run of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import predictions
from bench.predictions import Case, Compared, compare, lines


def row(seconds: float, peak_bytes: int) -> Compared:
    return Compared(Case("artist", ("--size", "256")), "openvino bf16, all loaded", 2.0, seconds, 200, peak_bytes)


@pytest.mark.parametrize(
    ("seconds", "peak_bytes", "met"),
    [(2.0, 200, True), (2.9, 229, True), (1.4, 20, True), (3.1, 200, False), (1.3, 200, False), (2.0, 231, False)],
)
def test_marks(seconds: float, peak_bytes: int, met: bool) -> None:
    found = row(seconds, peak_bytes)
    assert found.met is met
    *_, last = lines([found])
    assert last == ("All met." if met else "Missed: artist size 256.")


def test_a_plan_beside_its_run(tmp_path: Path) -> None:
    found = compare(Case("artist", ("--steps", "2", "--precision", "f32", "--engine", "openvino")), "artist", tmp_path)
    assert found.how == "openvino f32, all loaded"
    assert found.planned_seconds > 0
    assert found.seconds > 0
    assert 0 < found.peak_ratio <= predictions.PEAK_FACTOR
    assert not any(tmp_path.rglob("*.png"))
