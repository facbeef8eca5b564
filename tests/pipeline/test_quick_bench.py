"""The quick measurement, on as little as will do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutshell.engines import open_engine
from nutshell.pipeline import quick_bench


def test_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_bench, "_ENOUGH_SECONDS", 1e-9)
    monkeypatch.setattr(quick_bench, "_MOST_ROUNDS", 1)
    monkeypatch.setattr(quick_bench, "_COPIED_BYTES", 1 << 20)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "weights.bin").write_bytes(bytes(1 << 20))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    engine = open_engine("openvino")
    rates = quick_bench.measure_rates(engine, [tmp_path], 10**9)
    assert rates.operations_per_second.keys() == {*engine.precisions, "int8"}
    figures = [*rates.operations_per_second.values(), rates.memory_bytes_per_second, rates.read_bytes_per_second]
    assert all(1e6 < figure < 1e16 for figure in figures)
    assert 1e-6 < rates.node_build_seconds < 1
    assert not rates.guessed


def test_a_folder_without_a_model_says_nothing_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "store.lock").touch()
    models = tmp_path / "models"
    models.mkdir()
    (models / "weights.bin").write_bytes(bytes(1 << 20))
    assert quick_bench.read_rate([tmp_path / "none", tmp_path / "models"]) > 0
    (models / "weights.bin").unlink()
    assert quick_bench.read_rate([tmp_path]) == 0


def test_the_operations_are_those_of_the_cost_interpreter() -> None:
    from nutshell.engines.cost import price
    from nutshell.weights import Tensor, Weights

    shapes = quick_bench._SHAPES
    weights = Weights({name: Tensor(name, "F32", shape) for name, shape in shapes.items()})
    assert price(quick_bench._network(False), weights).operations == pytest.approx(quick_bench._OPERATIONS, rel=0.01)
