"""What a card promises holds when a picture is drawn by it: also with half precision beside the eight bits."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nutshell
from nutshell.compress import calibrate
from nutshell.engines import open_engine
from nutshell.engines.openvino_engine import OpenVinoEngine
from nutshell.pipeline import Request
from nutshell.pipeline.cards import FILE
from nutshell.quantization import HALVES, CalibrationCard, CurvePoint, read_card
from nutshell.quantization.budget import least_db
from nutshell.store import builtin_folder

PROMPT = "a red apple on a wooden table"
SIZE: dict[str, Any] = {"width": 128, "height": 128, "steps": 3}
HERE = [name for name in open_engine("openvino").precisions if name in HALVES]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the built-in model with a card made at 128 pixels: as near to its size as a quick test allows."""
    folder = tmp_path_factory.mktemp("models") / "artist"
    shutil.copytree(builtin_folder() / "artist", folder)
    (folder / FILE).unlink(missing_ok=True)
    card = calibrate(folder, prompts=[PROMPT], pictures=1, size=(128, 128), steps=3, threads=1, engine="openvino")
    card.write(folder / FILE)
    return folder


@pytest.fixture(scope="module")
def card(model: Path) -> CalibrationCard:
    return read_card(model / FILE)


def drawn(model: Path, **options: Any) -> np.ndarray:
    with nutshell.load(model, engine="openvino", threads=1, learn=False, **options) as opened:
        return np.asarray(opened.generate(PROMPT, seed=0, **SIZE).image, np.float64)


def psnr(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((got - wanted) ** 2)))


def compiled_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The precisions that networks are compiled in from now on."""
    used: list[str] = []
    compile = OpenVinoEngine.compile

    def noted(self: OpenVinoEngine, network: Any, weights: Any, precision: str = "f32", *rest: Any) -> Any:
        used.append(precision)
        return compile(self, network, weights, precision, *rest)

    monkeypatch.setattr(OpenVinoEngine, "compile", noted)
    return used


@pytest.mark.parametrize("relative", [False, True])
def test_a_budget_counts_what_half_precision_loses(
    model: Path, card: CalibrationCard, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget that only float32 keeps, and one that half precision keeps: each promise is true of the picture."""
    assert list(card.half) == HERE[:1]
    wanted = drawn(model, precision="f32")
    used = compiled_in(monkeypatch)
    ways: list[tuple[str, tuple[CurvePoint, ...]]] = [("f32", card.curve), *card.half.items()]
    for beside, curve in ways:
        nearest = max(curve, key=lambda point: point.db).db
        budget = nearest - 0.01
        if relative:
            # Below zero it is counted from the nearest that float32 comes.
            budget = min(nearest - card.best_db - 0.01, -0.01)
        allowed = card.allowed(budget, HERE)
        assert allowed is not None
        used.clear()
        got = drawn(model, precision="int8", int8_budget=budget)
        assert set(used) == {allowed.beside}
        if not relative:
            assert beside in (allowed.beside, "f32")
        assert psnr(got, wanted) >= least_db(card.curve, budget) - 0.1
        assert psnr(got, wanted) == pytest.approx(allowed.db, abs=0.1)
    assert max(point.db for point in card.curve) > 35


@pytest.mark.skipif(not HERE, reason="this processor has no half precision")
def test_half_precision_loses_something(card: CalibrationCard) -> None:
    """Or the test above would show nothing."""
    (half,) = card.half.values()
    assert [point.kept for point in half] == [point.kept for point in card.curve]
    assert max(point.db for point in half) < card.best_db


def test_without_a_word_the_budget_of_35_db_holds(model: Path, card: CalibrationCard) -> None:
    allowed = card.allowed(35.0, HERE)
    assert allowed is not None
    assert psnr(drawn(model, precision="int8"), drawn(model, precision="f32")) >= 34.9


def test_a_machine_without_half_precision_takes_float32(
    model: Path, card: CalibrationCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenVinoEngine, "precisions", property(lambda self: ("f32",)))
    used = compiled_in(monkeypatch)
    drawn(model, precision="int8", int8_budget=1.0)
    assert set(used) == {"f32"}


def test_a_shipped_card_is_found_without_a_step_of_the_users(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card lies in the model's folder, as `--output src/nutshell/builtin/artist/calibration.json` puts it."""
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("NUTSHELL_CONFIG", str(tmp_path / "config.toml"))
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["nutshell.store.find"], "builtin_folder", lambda: model.parent)
    with nutshell.load("artist", precision="int8", engine="openvino", threads=1, learn=False) as opened:
        order = opened.order(Request(PROMPT, **SIZE))
        assert opened.plan(order).precision == "int8"
    with nutshell.load("artist", threads=1, learn=False) as opened:
        assert opened.calibration_advice(Request(PROMPT, width=512, height=512, steps=50)) is None
    assert not list((tmp_path / "state").glob("calibration*"))


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_attention_in_eight_bits(model: Path, precision: str, caplog: pytest.LogCaptureFixture) -> None:
    with nutshell.load(model, engine="openvino", precision=precision, threads=1, learn=False) as opened:
        plain = opened.generate(PROMPT, seed=0, **SIZE)
        rounded = opened.generate(PROMPT, seed=0, int8_attention=True, **SIZE)
    if any("attention stays" in record.getMessage() for record in caplog.records):
        pytest.skip("this processor has no VNNI")
    assert "int8_attention" not in plain.parameters
    assert rounded.parameters["int8_attention"] is True
    assert 25 < psnr(np.asarray(rounded.image, np.float64), np.asarray(plain.image, np.float64)) < 80


def test_an_engine_without_it_says_so(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    with nutshell.load(model, engine="onnx", threads=1, learn=False, precision="f32") as opened:
        picture = opened.generate(PROMPT, seed=0, int8_attention=True, width=64, height=64, steps=1)
        plain = opened.generate(PROMPT, seed=0, width=64, height=64, steps=1)
    assert any("onnx" in record.getMessage() and "attention" in record.getMessage() for record in caplog.records)
    assert "int8_attention" not in picture.parameters
    np.testing.assert_array_equal(np.asarray(picture.image), np.asarray(plain.image))
