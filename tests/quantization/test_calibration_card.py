"""The card: what is written is read again, what is broken or another model's is refused, a budget picks its layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nutshell.errors import CorruptFile
from nutshell.quantization import (
    AttentionScale,
    CalibrationCard,
    CardLayer,
    CardPart,
    CurvePoint,
    Made,
    Migration,
    Scale,
    card_from_json,
    keeping_order,
    kept_layers,
    read_card,
)
from nutshell.quantization.card import LARGEST_BYTES

MADE = Made("ab" * 32, 4, 256, 256, 20, 7.5, 2, "openvino")


def layer(db: float, share: float, scale: float = 0.1) -> CardLayer:
    return CardLayer(Scale(float(np.float32(scale)), 128), db, share)


def card(layers: int = 3) -> CalibrationCard:
    # "a" loses a tenth over half of the operations, "b" a thousandth over half, "fc" a hundredth over a hundredth.
    moved = {"norm": Migration(("a", "b"), (-63, 0, 5, 63))}
    attention = {"a": AttentionScale(layer(1, 0).scale, layer(1, 0, 0.25).scale)}
    unet = CardPart("cd" * 32, {"a": layer(10, 0.5), "b": layer(30, 0.49)}, moved, attention)
    text = CardPart("ef" * 32, {f"fc{number}": layer(20, 0.01 / layers) for number in range(layers)})
    curve = (CurvePoint(0, 31.5), CurvePoint(2, 36.0), CurvePoint(4, 41.25))
    half = {"bf16": (CurvePoint(0, 30.5), CurvePoint(4, 35.5))}
    return CalibrationCard("artist", MADE, {"text_encoder": text, "unet": unet}, curve, half)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    mine = card()
    mine.write(tmp_path / "calibration.json")
    assert read_card(tmp_path / "calibration.json") == mine


def test_a_card_of_a_large_model_is_small() -> None:
    assert len(card(1000).to_json()) < 200_000


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda table: table.pop(key)


def changed(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        place: Any = table
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


FIRST = ("parts", "unet", "layers", "a")
MOVED = ("parts", "unet", "migrations", "norm")


@pytest.mark.parametrize(
    "change",
    [
        *map(without, ("format", "model", "hash", "made", "parts", "curve")),
        changed("format", to=3),
        changed("hash", to="00" * 32),
        changed("parts", to={}),
        changed("parts", to=[1]),
        changed("parts", "unet", to=None),
        changed("parts", "lora", to={"fingerprint": "ab" * 32, "layers": {}}),
        changed("parts", "unet", "fingerprint", to="../../etc"),
        changed("parts", "unet", "layers", to=[]),
        changed(*FIRST, "scale", to=0.0),
        changed(*FIRST, "scale", to=-1.0),
        changed(*FIRST, "scale", to=0.1),  # not a float32
        changed(*FIRST, "scale", to=1e300),
        changed(*FIRST, "scale", to=float("nan")),
        changed(*FIRST, "scale", to=True),
        changed(*FIRST, "zero_point", to=256),
        changed(*FIRST, "zero_point", to=-1),
        changed(*FIRST, "zero_point", to=1.5),
        changed(*FIRST, "sensitivity_db", to="40"),
        changed(*FIRST, "sensitivity_db", to=float("inf")),
        changed(*FIRST, "share", to=1.5),
        changed("curve", to=[]),
        changed("curve", 0, "kept", to=2),
        changed("curve", 2, "kept", to=6),
        changed("curve", 0, "db", to=None),
        changed("half", to={"bf16": []}),
        changed("half", to={"int4": [{"kept": 0, "db": 1.0}]}),
        changed("half", "bf16", 1, "kept", to=0),
        changed(*MOVED, "linears", to=[]),
        changed(*MOVED, "linears", to=[7]),
        changed(*MOVED, "steps", to=""),
        changed(*MOVED, "steps", to="AAA"),
        changed(*MOVED, "steps", to="gAA="),  # -128
        changed(*MOVED, "steps", to=[1, 2]),
        changed("parts", "unet", "attention", "a", "key", to=0.1),
        changed("parts", "unet", "attention", "a", to={"key": 0.5}),
        changed("made", "prompts", to="no hash"),
        changed("made", "pictures", to="four"),
        changed("model", to="a\x1b[31m"),
    ],
)
def test_a_broken_card_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    table = json.loads(card().to_json())
    change(table)
    with pytest.raises(CorruptFile, match="mine") as caught:
        card_from_json(json.dumps(table).encode(), "mine")
    assert "nutshell calibrate" in caught.value.hint


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_card_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(CorruptFile):
        card_from_json(raw, "mine")


def test_files_that_cannot_be_cards(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="cannot be read"):
        read_card(tmp_path / "nothing.json")
    (tmp_path / "large.json").write_bytes(b" " * (LARGEST_BYTES + 1))
    with pytest.raises(CorruptFile, match="larger"):
        read_card(tmp_path / "large.json")


def test_half_a_card_is_refused() -> None:
    whole = card().to_json()
    for length in range(0, len(whole) - 2, 97):
        with pytest.raises(CorruptFile):
            card_from_json(whole[:length], "mine")


def test_what_loses_most_for_what_it_saves_is_kept_first() -> None:
    # a: 0.1 / 0.5 = 0.2. b: 0.001 / 0.49 = 0.002. Each fc: 0.01 / 0.00333 = 3.
    order = [("text_encoder", f"fc{number}") for number in range(3)] + [("unet", "a"), ("unet", "b")]
    assert keeping_order(card().parts) == order
    small = card().without(4)
    assert {part: set(scales) for part, scales in small.items()} == {"text_encoder": set(), "unet": {"b"}}
    assert small["unet"]["b"] == Scale(float(np.float32(0.1)), 128)


@pytest.mark.parametrize(
    ("budget", "kept"), [(20, 0), (31.5, 0), (31.6, 2), (36.5, 4), (41.25, 4), (42, None), (-1, 4), (-6, 2), (-20, 0)]
)
def test_a_budget_picks_the_fewest_kept_layers(budget: float, kept: int | None) -> None:
    mine = card()
    assert kept_layers(mine.curve, budget) == kept
    scales = mine.within(budget)
    assert (scales is None) == (kept is None)
    if scales is not None and kept is not None:
        assert sum(map(len, scales.values())) == 5 - kept


def test_a_card_of_the_first_format_still_loads() -> None:
    table = json.loads(card().to_json())
    table["format"] = 1
    del table["half"]
    for part in table["parts"].values():
        del part["migrations"], part["attention"]
    old = card_from_json(json.dumps(table).encode(), "mine")
    assert old.parts["unet"] == CardPart("cd" * 32, card().parts["unet"].layers)
    assert old.curve == card().curve
    # What half precision would lose was not measured then.
    found = old.allowed(35, ("bf16",))
    assert found is not None
    assert (found.kept, found.beside, found.db) == (2, "f32", 36.0)


@pytest.mark.parametrize(
    ("budget", "halves", "kept", "beside"),
    [
        (30, ("bf16",), 0, "bf16"),
        (30, ("f16",), 0, "f32"),
        (30, ("f16", "bf16"), 0, "bf16"),
        (30, (), 0, "f32"),
        (35, ("bf16",), 4, "bf16"),
        (36, ("bf16",), 2, "f32"),
        # At most 6 dB below the 41.25 that float32 reaches.
        (-6, ("bf16",), 4, "bf16"),
        (-1, ("bf16",), 4, "f32"),
        (-60, ("bf16",), 0, "bf16"),
    ],
)
def test_half_precision_is_beside_where_the_budget_holds_with_it(
    budget: float, halves: tuple[str, ...], kept: int, beside: str
) -> None:
    found = card().allowed(budget, halves)
    assert found is not None
    assert (found.kept, found.beside) == (kept, beside)
    assert card().allowed(42, halves) is None


def test_the_hash_is_of_the_weights_alone() -> None:
    mine = card()
    assert replace(mine, model="other", curve=mine.curve[:1]).model_hash == mine.model_hash
    other = replace(mine, parts={**mine.parts, "unet": replace(mine.parts["unet"], fingerprint="00" * 32)})
    assert other.model_hash != mine.model_hash
