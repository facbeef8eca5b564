"""Where cards are found, what they allow here, and when calibrating is recommended."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nutshell
from nutshell.errors import CorruptFile, EngineUnavailable
from nutshell.machine import Cpu, machine_with
from nutshell.pipeline import Request
from nutshell.pipeline.advice import advice
from nutshell.pipeline.cards import FILE, beside, checkpoint_fingerprints, find_card, kept_path
from nutshell.pipeline.eight_bits import EightBits, eight_bits, largest_weight
from nutshell.plan import Installed, Need, Plan, Planner, StageNeed
from nutshell.quantization import (
    FULL_WEIGHT,
    SAFE_WEIGHT,
    AttentionScale,
    CalibrationCard,
    CardLayer,
    CardPart,
    CurvePoint,
    Made,
    Scale,
    joint,
)
from nutshell.weights import open_checkpoint
from tests.pipeline.conftest import write_single_file

STEP = Scale(float(np.float32(0.05)), 128)
GIB = 2**30


def card_of(model: Path, *layers: str) -> CalibrationCard:
    prints = checkpoint_fingerprints(open_checkpoint(model))
    rows = {name: CardLayer(STEP, 30.0, 0.01) for name in layers or ("time_embedding.linear_1",)}
    parts = {"unet": CardPart(prints["unet"], rows), "text_encoder": CardPart(prints["text_encoder"], {})}
    return CalibrationCard("toy", Made("ab" * 32, 1, 64, 64, 2, 1.0, 1, "openvino"), parts, (CurvePoint(0, 40.0),))


def whole_hash(model: Path) -> str:
    return joint(checkpoint_fingerprints(open_checkpoint(model)))


def find(model: Path, state: Path) -> CalibrationCard | None:
    return find_card(model, open_checkpoint(model), state).card


def test_cards_are_found_beside_the_model_and_in_the_state_folder(model_folder: Path, tmp_path: Path) -> None:
    state, card = tmp_path / "state", card_of(model_folder)
    assert find(model_folder, state) is None
    mine = kept_path(whole_hash(model_folder), state)
    assert mine is not None
    mine.parent.mkdir(parents=True)
    card.write(mine)
    assert find(model_folder, state) == card
    other = replace(card, model="beside")
    other.write(beside(model_folder))
    try:
        # One's own goes before what came with the model.
        assert find(model_folder, state) == card
        mine.unlink()
        assert find(model_folder, state) == other
    finally:
        beside(model_folder).unlink()


def test_a_single_files_card_lies_next_to_it(tmp_path: Path) -> None:
    assert beside(tmp_path) == tmp_path / FILE
    assert beside(tmp_path / "model.safetensors") == tmp_path / "model.calibration.json"


def test_folder_and_single_file_have_one_card(model_folder: Path, tmp_path: Path) -> None:
    single = write_single_file(model_folder, tmp_path / "single.safetensors")
    assert whole_hash(model_folder) == whole_hash(single)


def test_a_broken_card_of_ones_own_does_not_hide_the_models(model_folder: Path, tmp_path: Path) -> None:
    state, card = tmp_path / "state", card_of(model_folder)
    mine = kept_path(whole_hash(model_folder), state)
    assert mine is not None
    mine.parent.mkdir(parents=True)
    mine.write_text("{")
    assert isinstance(find_card(model_folder, open_checkpoint(model_folder), state).problem, CorruptFile)
    card.write(beside(model_folder))
    try:
        assert find(model_folder, state) == card
    finally:
        beside(model_folder).unlink()


def test_no_weight_is_looked_at_where_there_are_no_cards(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nutshell.pipeline.cards.fingerprint", lambda weights: pytest.fail("it was looked at"))
    assert find(model_folder, tmp_path) is None


@pytest.mark.parametrize(
    ("cpu", "largest"),
    [
        (Cpu(architecture="x86_64", features=frozenset({"avx2"})), SAFE_WEIGHT),
        (Cpu(architecture="x86_64", features=frozenset({"avx2", "avx512f"})), SAFE_WEIGHT),
        (Cpu(architecture="x86_64", features=frozenset({"avx2", "avx_vnni"})), FULL_WEIGHT),
        (Cpu(architecture="x86_64", features=frozenset({"avx512f", "avx512_vnni"})), FULL_WEIGHT),
        (Cpu(architecture="x86_64"), SAFE_WEIGHT),
        (Cpu(architecture="aarch64"), FULL_WEIGHT),
        (Cpu(), SAFE_WEIGHT),
    ],
)
def test_weights_are_safe_where_sums_saturate(cpu: Cpu, largest: int) -> None:
    assert largest_weight(cpu) == largest


def test_a_budget_that_no_kept_layers_meet(model_folder: Path) -> None:
    card = card_of(model_folder)
    assert eight_bits(card, 35.0, Cpu(), None).ready
    poor = eight_bits(card, 45.0, Cpu(), None)
    assert not poor.ready
    assert "40.0 dB" in poor.why_not
    assert poor.problem is not None
    assert eight_bits(card, -1.0, Cpu(), None).ready


@pytest.mark.parametrize(
    ("features", "engine", "precision", "said"),
    [
        ({"avx512_vnni"}, "openvino", "bf16", None),
        ({"avx_vnni"}, "openvino", "int8", None),
        ({"avx512_vnni"}, "openvino", "f16", "openvino"),
        ({"avx512_vnni"}, "onnx", "int8", "onnx"),
        ({"avx512f", "avx2"}, "openvino", "f32", "no faster"),
    ],
)
def test_attention_in_eight_bits_only_where_something_is_won(
    model_folder: Path, features: set[str], engine: str, precision: str, said: str | None
) -> None:
    name, card = "down.attn1.to_q", card_of(model_folder)
    scale = AttentionScale(STEP, STEP)
    card = replace(card, parts={**card.parts, "unet": replace(card.parts["unet"], attention={name: scale})})
    plan = Plan(engine, precision, None, False, 0, ())
    cpu = Cpu(architecture="x86_64", features=frozenset(features))
    why = eight_bits(card, 35.0, cpu, None).no_attention(plan)
    assert (why is None) == (said is None)
    assert said is None or said in str(why)


def test_attention_in_eight_bits_needs_a_card_that_knows_of_it(model_folder: Path) -> None:
    cpu = Cpu(architecture="x86_64", features=frozenset({"avx512_vnni"}))
    plan = Plan("openvino", "f32", None, False, 0, ())
    for small in (EightBits(), eight_bits(card_of(model_folder), 35.0, cpu, None)):
        assert "nutshell calibrate" in str(small.no_attention(plan))


@pytest.mark.parametrize(
    ("beside", "precision", "precisions", "arithmetic"),
    [
        ("bf16", "int8", ("bf16", "f16", "f32"), "bf16"),
        ("f32", "int8", ("bf16", "f32"), "f32"),
        ("bf16", "int8", ("f32",), "f32"),
        ("f32", "int8_weights", ("bf16", "f32"), "bf16"),
        ("f32", "bf16", ("bf16", "f32"), "bf16"),
    ],
)
def test_what_stands_beside_eight_bits(
    beside: str, precision: str, precisions: tuple[str, ...], arithmetic: str
) -> None:
    assert EightBits(beside=beside).arithmetic(precision, precisions) == arithmetic


def test_an_engine_without_half_precision_keeps_what_float32_needs(model_folder: Path) -> None:
    """The curve with half precision may ask for fewer layers: pictures differ a little to either side."""
    card = replace(
        card_of(model_folder, "a", "b"), curve=(CurvePoint(0, 34.0), CurvePoint(1, 36.0)),
        half={"bf16": (CurvePoint(0, 35.5), CurvePoint(1, 35.0))},
    )  # fmt: skip
    small = eight_bits(card, 35.0, Cpu(), None, ("bf16",))
    assert small.beside == "bf16"
    assert (len(small.scales["unet"]), len(small.plain_scales["unet"])) == (2, 1)


def test_eight_bits_without_a_card_say_what_to_do(model_folder: Path) -> None:
    with nutshell.load(model_folder, precision="int8", learn=False) as model:
        with pytest.raises(EngineUnavailable, match="calibrate") as caught:
            model.generate("a cat", width=64, height=64, steps=1)
        assert "nutshell calibrate" in caught.value.hint


@pytest.mark.parametrize("precision", ["int8", "int8_weights"])
def test_pictures_in_eight_bits(model_folder: Path, precision: str) -> None:
    card_of(model_folder).write(beside(model_folder))
    try:
        with nutshell.load(model_folder, engine="openvino", precision=precision, learn=False) as model:
            picture = model.generate("a cat", width=64, height=64, steps=1, seed=1)
            assert model.plan(model.order(Request("a cat", width=64, height=64, steps=1))).precision == precision
        with nutshell.load(model_folder, engine="openvino", precision="f32", learn=False) as model:
            plain = model.generate("a cat", width=64, height=64, steps=1, seed=1)
    finally:
        beside(model_folder).unlink()
    assert picture.parameters["precision"] == precision
    got, wanted = (np.asarray(each.image, np.float64) for each in (picture, plain))
    assert 0 < np.mean((got - wanted) ** 2) < 300


NEED = Need(
    (StageNeed("unet", 323_000_000, 646_000_000, 25_000_000, 485_000_000_000, 20, 900, 200_000_000),), "toy", steps=20
)
QUICK = frozenset({"avx2", "fma", "avx512f", "avx512_vnni"})


def planner(features: frozenset[str] = QUICK, usable: int = 16 * GIB, **changes: object) -> Planner:
    made = Planner.of(machine_with(usable_bytes=usable, features=features), Installed(openvino="2026.4"), learn=False)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("NUTSHELL_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "state"


def test_calibrating_is_recommended_once_where_it_helps(state: Path) -> None:
    said = advice(planner(), NEED, EightBits())
    assert said is not None
    assert "nutshell calibrate toy" in said
    assert advice(planner(), NEED, EightBits()) is None
    assert advice(planner(), replace(NEED, model="another"), EightBits()) is not None


def test_it_is_not_recommended_where_it_does_not_help(state: Path) -> None:
    old = planner(frozenset({"avx2", "fma", "avx512f"}))
    assert advice(old, NEED, EightBits()) is None
    assert advice(planner(precision="f32"), NEED, EightBits()) is None
    assert advice(planner(), NEED, EightBits({}, FULL_WEIGHT, True)) is None
    assert advice(planner(), replace(NEED, stages=(StageNeed("unet", 1000, 2000, 1000, 1000, 4),)), EightBits()) is None
    assert not state.exists()


def test_without_a_folder_to_note_it_in_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUTSHELL_CONFIG", "")
    assert advice(planner(), NEED, EightBits()) is None


def test_weights_alone_are_for_where_memory_is_short() -> None:
    assert planner().plan(NEED).precision == "f32"
    assert planner().plan(replace(NEED, eight_bits=True)).precision == "int8"
    roomy = planner(frozenset({"avx2", "fma"})).plan(NEED)
    tight = planner(frozenset({"avx2", "fma"}), usable=int(2.3 * 10**9))
    assert roomy.precision == "f32"
    assert tight.plan(NEED).precision == "int8_weights"
    assert tight.plan(NEED).need_bytes < roomy.need_bytes


def test_a_problem_with_a_card_is_logged(model_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    beside(model_folder).write_text("[]")
    try:
        with caplog.at_level(logging.WARNING), nutshell.load(model_folder, learn=False):
            pass
    finally:
        beside(model_folder).unlink()
    assert any(FILE in record.getMessage() for record in caplog.records)
