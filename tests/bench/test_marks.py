"""Goals beside what was found."""

from __future__ import annotations

import pytest

from bench.marks import Goal, goal_lines, megabytes, number, pair, table


@pytest.mark.parametrize(
    ("goal", "cells"),
    [
        (Goal("a", 1.02, 1.02), ("a", "at most 1.02", "1.02", "yes")),
        (Goal("a", 1.03, 1.02), ("a", "at most 1.02", "1.03", "**no**")),
        (Goal("a", 3.0, 3, "s", under=True), ("a", "under 3 s", "3.00 s", "**no**")),
        (Goal("a", 2.9, 3, "s", under=True, digits=1), ("a", "under 3 s", "2.9 s", "yes")),
        (Goal("a", 45.0, 45, "dB", least=True, digits=0), ("a", "at least 45 dB", "45 dB", "yes")),
        (Goal("a", 44.9, 45, "dB", least=True, digits=1), ("a", "at least 45 dB", "44.9 dB", "**no**")),
        (Goal("a", None, 45), ("a", "at most 45", "-", "not measured")),
    ],
)
def test_a_goal(goal: Goal, cells: tuple[str, ...]) -> None:
    assert goal.cells == cells


def test_figures() -> None:
    assert [number(None), number(1.005, 1, " s"), megabytes(1_499_999.0), pair(1e6, 2e6), pair(None, 1)] == [
        "-", "1.0 s", "1", "1 + 2", "-",
    ]  # fmt: skip


def test_tables() -> None:
    assert table(("a", "b"), [("1", "2")]) == ["| a | b |", "|---|---|", "| 1 | 2 |"]
    assert goal_lines([]) == []
    assert "| a | at most 1 | 2.00 | **no** |" in goal_lines([Goal("a", 2, 1)])
