"""Figures that are kept between starts: measured rates, and ratios of measured to predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutshell.machine import Cpu, machine_with
from nutshell.plan import Installed, Planner, Rates, Ratios, guessed_rates, keep_rates, kept_rates, rates_key
from nutshell.plan.kept import state_folder, write_table
from nutshell.plan.learn import FILE as RATIOS
from nutshell.plan.learn import LEAST, MOST
from nutshell.plan.measured import FILE as RATES
from tests.plan.test_plan import NEED

MEASURED = Rates({"f32": 473e9, "bf16": 993e9}, 52e9, 1e9, guessed=False)
CPU = Cpu("Xeon", "intel", "x86_64", 2, 2, frozenset({"avx2", "fma"}))
GUESS = guessed_rates(CPU)
BROKEN: list[Any] = [b"", b"{", b"[1]", b"\xff\xfe", b'{"k": 1}', b'{"k": {"operations_per_second": []}}']


def test_rates_are_found_again(tmp_path: Path) -> None:
    key = rates_key(CPU, "2026.4.0")
    assert keep_rates(MEASURED, key, tmp_path / "new") == tmp_path / "new" / RATES
    assert kept_rates(key, GUESS, tmp_path / "new") == MEASURED
    # Another processor, other cores, another engine: measured anew.
    for other in (rates_key(Cpu("Celeron"), "2026.4.0"), rates_key(CPU, "2027.0.0")):
        assert kept_rates(other, GUESS, tmp_path / "new") is GUESS


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_ignored(content: bytes, tmp_path: Path) -> None:
    (tmp_path / RATES).write_bytes(content)
    (tmp_path / RATIOS).write_bytes(content)
    assert kept_rates("k", GUESS, tmp_path) is GUESS
    assert Ratios(tmp_path).of("k").memory == 1.0
    Ratios(tmp_path).note("k", memory=1.5)
    assert Ratios(tmp_path).of("k").memory == 1.25


def test_nonsense_figures_are_left_out(tmp_path: Path) -> None:
    row = {"operations_per_second": {"f32": 1e9, "bf16": -1, "int8": "x", "f16": True}, "memory_bytes_per_second": 0}
    (tmp_path / RATES).write_text(json.dumps({"k": row}))
    found = kept_rates("k", GUESS, tmp_path)
    assert found.operations_per_second == {"f32": 1e9}
    assert found.memory_bytes_per_second == GUESS.memory_bytes_per_second


def test_nowhere_to_keep_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not write_table(tmp_path / "file" / "x.json", {})
    assert keep_rates(MEASURED, "k", tmp_path / "file") is None
    Ratios(tmp_path / "file").note("k", memory=2.0)
    assert Ratios.none().of("k").seconds == 1.0


@pytest.mark.parametrize(
    ("environment", "platform", "folder"),
    [
        ({"HOME": "/h"}, "linux", "/h/.local/state/nutshell"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, "linux", "/s/nutshell"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Application Support/nutshell"),
        ({"HOME": "/h", "NUTSHELL_CONFIG": "/c/config.toml"}, "linux", "/c/state"),
        ({"HOME": "/h", "NUTSHELL_CONFIG": ""}, "linux", None),
        ({}, "linux", None),
        ({}, "win32", None),
    ],
)
def test_the_state_folder(environment: dict[str, str], platform: str, folder: str | None) -> None:
    found = state_folder(environment, platform)
    assert (found and found.as_posix()) == folder


def test_ratios_are_damped_and_bounded(tmp_path: Path) -> None:
    ratios = Ratios(tmp_path)
    ratios.note("k", memory=1.2, seconds=100.0)
    assert (ratios.of("k").memory, ratios.of("k").seconds) == (1.1, 1.5)
    for _ in range(20):
        ratios.note("k", memory=0.01, seconds=100.0)
    assert ratios.of("k").memory == pytest.approx(LEAST, abs=1e-4)
    assert ratios.of("k").seconds == pytest.approx(MOST, abs=1e-4)
    assert ratios.of("other").memory == 1.0


def test_what_was_not_measured_stays(tmp_path: Path) -> None:
    ratios = Ratios(tmp_path)
    ratios.note("k", seconds=1.4)
    ratios.note("k", memory=1.4)
    ratios.note("k", memory=float("nan"))
    assert (ratios.of("k").memory, ratios.of("k").seconds) == (1.2, 1.2)


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    ratios = Ratios(tmp_path)
    (tmp_path / RATIOS).write_text(json.dumps({f"{n:04}": {"memory": 1, "seconds": 1} for n in range(600)}))
    ratios.note("new", memory=1.1)
    assert len(json.loads((tmp_path / RATIOS).read_text())) == 500


@given(measured=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=10))
def test_a_ratio_never_leaves_its_bounds(measured: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    ratios = Ratios(tmp_path_factory.mktemp("ratios"))
    for value in measured:
        ratios.note("k", memory=value, seconds=value)
    assert LEAST <= ratios.of("k").memory <= MOST


def test_a_run_corrects_the_next_plan(tmp_path: Path) -> None:
    machine = machine_with(usable_bytes=32 * 10**9)
    here = Installed(openvino="2026.4.0")
    need = type(NEED)(NEED.stages, "tiny", steps=20)
    before = Planner.of(machine, here, folder=tmp_path).plan(need)
    Ratios(tmp_path).note(before.key, memory=1.2, seconds=1.6)
    after = Planner.of(machine, here, folder=tmp_path).plan(need)
    assert after.need_bytes == pytest.approx(1.1 * before.need_bytes, rel=1e-6)
    assert after.step_seconds == pytest.approx(1.3 * before.step_seconds)
    assert Planner.of(machine, here, folder=tmp_path, learn=False).plan(need).need_bytes == before.need_bytes


def test_measured_rates_replace_the_guess(tmp_path: Path) -> None:
    machine = machine_with(usable_bytes=32 * 10**9)
    here = Installed(openvino="2026.4.0")
    guess = Planner.of(machine, here, folder=tmp_path).plan(NEED)
    keep_rates(MEASURED, rates_key(machine.cpu, here.openvino), tmp_path)
    known = Planner.of(machine, here, folder=tmp_path).plan(NEED)
    assert guess.guessed
    assert not known.guessed
    assert known.step_seconds < guess.step_seconds
    assert any("bench --quick" in reason and "guess" in reason for reason in guess.reasons)


def test_rules_for_a_guess() -> None:
    def rate(*features: str, precision: str = "f32", **facts: Any) -> float:
        cpu = Cpu(architecture="x86_64", cores=4, features=frozenset(features), **facts)
        return guessed_rates(cpu).of(precision)

    assert rate() < rate("avx") < rate("avx", "fma") < rate("avx", "fma", "avx512f")
    assert rate("avx512f", precision="int8") < rate("avx512f") < rate("avx512f", "avx512_vnni", precision="int8")
    assert rate("avx512f", "avx512_bf16", precision="bf16") == 2 * rate("avx512f")
    assert rate("fma", precision="bf16") == rate("fma")
