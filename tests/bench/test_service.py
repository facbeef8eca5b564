"""The service's figures: what the report makes of them, and one short run of it all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import service
from bench.__main__ import main
from bench.service import ServiceFigures
from bench.service_report import lines, overhead, percentile, rows

linux = pytest.mark.skipif(sys.platform != "linux", reason="starts a service as Linux has it")


def figures(**changes: object) -> ServiceFigures:
    given: dict[str, object] = {
        "ready_seconds": [0.9, 1.0, 4.0],
        "first_picture_seconds": [2.0],
        "idle_bytes": 80_000_000,
        "served_seconds": [10.1, 20.4, 10.2],
        "in_process_seconds": [10.0, 20.0, 10.0],
        "alone_seconds": [1.0],
        "health_seconds": [0.01] * 99 + [0.2],
    }
    return ServiceFigures("artist", 10, **{**given, **changes})  # type: ignore[arg-type]


def met(found: ServiceFigures) -> dict[str, bool]:
    return {what: yes for what, _, _, yes in rows(found) if yes is not None}


def test_each_block_is_compared_with_the_one_beside_it() -> None:
    assert overhead(figures()) == pytest.approx(1.02)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0.5, 1)])
def test_percentiles_by_nearest_rank(percent: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_marks() -> None:
    assert all(met(figures()).values())
    assert len(met(figures())) == 4
    missed = {
        "ready_seconds": [0.9, 1.6, 1.6],
        "idle_bytes": 121_000_000,
        "served_seconds": [10.4, 20.8, 10.4],
        "health_seconds": [0.01] * 98 + [0.06, 0.06],
    }
    for name, values in missed.items():
        assert list(met(figures(**{name: values})).values()).count(False) == 1


def test_the_report_says_what_is_missed() -> None:
    about, settings = {"date": "2026-11-21", "processor": "P", "cores": 2}, {"load_average_before": 0.1}
    text = "\n".join(lines(about, settings, figures(idle_bytes=130_000_000)))
    assert "| memory of the web side, no model loaded, MB | 130 | under 120 | **no** |" in text
    assert "1.00 (0.90 to 4.00)" in text


@linux
def test_a_short_run(tmp_path: Path) -> None:
    given = ["service", "--quick", "--pictures", "1", "--steps", "1", "--health-seconds", "0.2", "--threads", "1"]
    assert main([*given, "--out", str(tmp_path), "--name", "short"]) == 0
    found = json.loads((tmp_path / "short.json").read_text())["figures"]
    for name in ("ready_seconds", "first_picture_seconds", "served_seconds", "in_process_seconds", "alone_seconds"):
        assert len(found[name]) == 1
        assert found[name][0] > 0
    assert found["first_picture_seconds"] > found["ready_seconds"]
    assert found["health_seconds"]
    # The model is in the worker: the web side is far smaller.
    assert 20_000_000 < found["idle_bytes"] < found["drawing_bytes"]
    assert service.RESULTS.joinpath("short.json").exists() is False
