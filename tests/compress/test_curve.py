"""Which numbers of kept layers are measured."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nutshell.compress.curve import measure_curve


def measured(layers: int, target: float, db: Callable[[int], float], known: dict[int, float] | None = None):  # type: ignore[no-untyped-def]
    asked: list[int] = []

    def measure(kept: int) -> float:
        asked.append(kept)
        return db(kept)

    return measure_curve(layers, target, known or {}, measure), asked


@pytest.mark.parametrize("needed", [0, 1, 7, 20, 33, 64, 90, 127])
def test_the_fewest_layers_are_found_within_a_sixteenth(needed: int) -> None:
    curve, asked = measured(128, 35, lambda kept: 20 + 15 * kept / max(1, needed) if needed else 40 + kept / 100)
    good = min(kept for kept, db in curve.items() if db >= 35)
    assert needed <= good <= needed + 128 // 16
    assert list(curve) == sorted(curve)
    assert len(asked) == len(set(asked)) <= 12
    assert curve.keys() == set(asked)


def test_those_who_ask_for_more_find_points_beyond() -> None:
    curve, _ = measured(128, 35, lambda kept: 36 + kept / 10)
    assert list(curve) == [0, 8, 16]


def test_a_target_out_of_reach_still_gives_a_curve() -> None:
    curve, _ = measured(128, 35, lambda kept: 10 + kept / 100)
    assert list(curve) == [0, 8, 16, 32, 64, 96, 127]


def test_what_is_known_is_not_measured_again() -> None:
    def db(kept: int) -> float:
        return 20.0 + kept

    whole, every = measured(128, 35, db)
    for stopped in range(len(every)):
        known = {kept: db(kept) for kept in every[:stopped]}
        again, rest = measured(128, 35, db, known)
        assert again == whole
        assert rest == every[stopped:]


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_few_layers(layers: int) -> None:
    curve, _ = measured(layers, 35, lambda kept: 30.0)
    assert set(curve) <= set(range(layers))
    assert 0 in curve
