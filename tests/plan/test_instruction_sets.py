"""The table of instruction sets: what it says, and that plans reckon with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nutshell.machine import Cpu
from nutshell.plan import Offer, Planner, StageNeed, guessed_rates, instruction_sets
from nutshell.plan.instruction_sets import (
    ARM,
    PATH,
    X86,
    Times,
    int8_times,
    read_rows,
    set_class,
    table,
    times,
    write_rows,
)
from nutshell.plan.offers import find_offers
from nutshell.plan.seconds import pass_seconds
from tests.plan.test_plan import HERE, NEED
from tests.plan.test_zoo import recorded

TINY_SD = StageNeed("unet", 323_384_964, 4 * 323_384_964, 0, int(488e9))


def cpu(*features: str, architecture: str = "x86_64") -> Cpu:
    return Cpu(architecture=architecture, cores=2, threads=2, features=frozenset(features))


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        (recorded("sapphire-rapids").cpu, "amx"),
        (recorded("epyc-zen4").cpu, "avx512_vnni"),
        (recorded("dual-rtx-4090").cpu, "avx2_vnni"),
        (recorded("without-sys").cpu, "avx512"),
        (recorded("laptop-8gb-intel").cpu, "avx2"),
        (recorded("celeron-2gb").cpu, "sse41"),
        (recorded("core-2-duo").cpu, "sse41"),
        (recorded("raspberry-pi-3").cpu, "neon"),
        (recorded("mac-rosetta").cpu, "neon"),
        (cpu(architecture="aarch64"), "neon"),
    ],
)
def test_the_class_of_a_processor(processor: Cpu, name: str) -> None:
    found = set_class(processor)
    assert found is not None
    assert found.name == name
    assert found.adds_up == (name in ("amx", "avx512_vnni", "avx2_vnni"))


def test_what_is_not_known_has_no_class() -> None:
    assert set_class(Cpu()) is None
    assert set_class(cpu(architecture="riscv64")) is None
    assert times(Cpu(), "openvino", "int8") is None


# Seconds a pass of tiny-sd at 512 pixels in float32 and in eight bits, with instruction sets switched off.
MEASURED = [
    (("avx2", "fma"), 0.97, 0.91),
    (("avx2", "fma", "avx_vnni"), 0.96, 0.50),
    (("avx2", "fma", "avx512f"), 0.65, 1.55),
]


@pytest.mark.parametrize(("features", "plain", "eight"), MEASURED)
def test_predictions_keep_the_measured_ratio(features: tuple[str, ...], plain: float, eight: float) -> None:
    rates, offer = guessed_rates(cpu(*features)), Offer("openvino", "cpu", ("f32", "int8"), True)
    seconds = {name: pass_seconds(TINY_SD, offer, name, rates) for name in offer.precisions}
    assert seconds["int8"] / seconds["f32"] == pytest.approx(eight / plain, rel=0.06)


def test_an_engine_goes_by_its_own_rows() -> None:
    rates, offer = guessed_rates(cpu("avx2", "fma")), Offer("onnx", "cpu", ("f32", "int8"), True)
    openvino = pass_seconds(TINY_SD, replace(offer, engine="openvino"), "f32", rates)
    for precision, wanted in (("f32", 0.8), ("int8", 0.6), ("int8", 3.0)):
        seconds = pass_seconds(TINY_SD, replace(offer, times={precision: wanted}), precision, rates)
        assert seconds / openvino == pytest.approx(wanted, rel=0.08)


def test_offers_carry_what_the_table_has() -> None:
    here = recorded("epyc-zen4")
    onnx = next(offer for offer in find_offers(here, HERE)[0] if offer.engine == "onnx" and not offer.lean)
    known = times(here.cpu, "onnx", "f32")
    assert known is not None
    assert onnx.times["f32"] == known.times


def test_an_engine_that_measures_faster_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    here = replace(recorded("laptop-8gb-intel"), gpus=())
    here = replace(here, memory=replace(here.memory, available_bytes=64 * 10**9))
    row = Times("avx2", "onnx", "f32", 0.6, "measured", "a test")
    for rows, engine in (({}, "openvino"), ({("avx2", "onnx", "f32"): row}, "onnx")):
        monkeypatch.setattr(instruction_sets, "table", lambda rows=rows: rows)
        assert Planner.of(here, HERE, learn=False).plan(NEED).engine == engine


def test_eight_bits_by_the_same_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Times("avx2", "onnx", "f32", 0.5, "measured", "x"), Times("avx2", "onnx", "int8", 1.0, "measured", "x")]
    monkeypatch.setattr(instruction_sets, "table", lambda: {(row.set, row.engine, row.precision): row for row in rows})
    found = int8_times(cpu("avx2"), "onnx")
    assert found is not None
    assert found.times == 2.0
    assert int8_times(cpu("avx2"), "openvino") is None


def test_the_file_is_whole() -> None:
    text = PATH.read_text(encoding="utf-8")
    rows = read_rows(text)
    assert len(table()) == len(rows) > 5
    assert {row.set for row in rows} <= {each.name for each in (*X86, ARM)}
    assert all(len(row.source) > 10 for row in rows)
    # Every class of x86 has a figure for the choice that matters.
    assert {row.set for row in rows if (row.engine, row.precision) == ("openvino", "int8")} == {
        each.name for each in X86
    }
    # As the bench writes it.
    assert write_rows(rows) == text


@pytest.mark.parametrize(
    "wrong", [{"set": "mmx"}, {"basis": "hope"}, {"times": 0.0}, {"times": 1e9}, {"source": ""}], ids=str
)
def test_a_wrong_row_is_refused(wrong: dict[str, object]) -> None:
    good = Times("avx2", "openvino", "int8", 0.94, "measured", "somewhere")
    with pytest.raises(ValueError, match="no row of times"):
        read_rows(write_rows((replace(good, **wrong),)))  # type: ignore[arg-type]
