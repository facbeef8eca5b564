"""The list of the menu without a terminal: what keys make of it, and what is drawn of it."""

from __future__ import annotations

import pytest

from nutshell.cli.menu_lines import POINTED, Column, Question, clipped, drawn
from nutshell.cli.menu_selection import Entry, Selection
from nutshell.cli.speech import width
from nutshell.language import tr

COLUMNS = (
    Column(tr("model"), 3, figures=False),
    Column(tr("time"), 1),
    Column(tr("download"), 2),
    Column(tr(""), 0, figures=False, stretches=True),
)
QUESTION = Question(tr("Which one?"), tr("arrow keys; type to search; Ctrl-D ends"), COLUMNS, "★")


def entries(count: int, marked: int | None = None) -> list[Entry[int]]:
    """Models called model-0, model-1 ..., and a line without columns."""
    models = [
        Entry(
            place, (f"model-{place}", f"{place} s", "1.1 GB", f"第{place}个模型 in words"),
            (f"第{place}个模型 in words", "Licence: MIT."), f"Model number {place}", place == marked,
        )
        for place in range(count)
    ]  # fmt: skip
    return [*models, Entry(-1, ("quit",))]


def text(selection: Selection[int], columns: int = 80, rows: int = 24) -> list[str]:
    return [line for _, line in drawn(QUESTION, selection, columns, rows)]


def test_the_marked_one_is_pointed_at_first() -> None:
    assert Selection(entries(5, marked=3)).current == entries(5, marked=3)[3]
    assert Selection(entries(5)).pointed == 0
    assert Selection(entries(5, marked=3), start=1).pointed == 1


def test_moves_come_round_one_by_one_and_stop_by_pages() -> None:
    selection = Selection(entries(3))
    seen = []
    for lines in (-1, 1, 1, 10, 1, -10, 2):
        selection.move(lines)
        seen.append(selection.pointed)
    assert seen == [3, 0, 1, 3, 0, 0, 2]
    empty: Selection[int] = Selection([])
    for lines in (1, -1, 10):
        empty.move(lines)
    assert (empty.pointed, empty.current) == (0, None)


@pytest.mark.parametrize(
    ("typed", "found"),
    [("MODEL-1", [1]), ("number 2", [2]), ("第3个", [3]), ("quit", [-1]), ("2 word", [2]), ("no such", []), (" ", 6)],
)
def test_search_finds_what_is_shown_and_the_english_name(typed: str, found: list[int] | int) -> None:
    selection = Selection(entries(5))
    selection.search(typed)
    values = [entry.value for entry in selection.found]
    assert (len(values) if isinstance(found, int) else values) == found


def test_search_stays_where_it_was_if_it_can() -> None:
    selection = Selection(entries(5, marked=3))
    selection.search("model")
    assert selection.pointed == 3
    selection.search("model-1")
    assert selection.pointed == 0
    selection.move(1)
    selection.search("nothing at all")
    assert selection.current is None
    assert "nothing fits; Esc shows all again" in text(selection)


def test_columns_are_aligned_in_cells() -> None:
    shown = text(Selection(entries(2, marked=1)))
    assert shown[:7] == [
        "",
        "Which one?",
        "arrow keys; type to search; Ctrl-D ends",
        "    model    time  download",
        "    model-0   0 s    1.1 GB  第0个模型 in words",
        "> ★ model-1   1 s    1.1 GB  第1个模型 in words",
        "    quit",
    ]
    assert shown[-2:] == ["  第1个模型 in words", "  Licence: MIT."]


def test_narrow_terminals_lose_columns_that_are_told_below() -> None:
    shown = text(Selection(entries(2)), columns=22)
    assert "  model    download" in shown
    assert "> model-0    1.1 GB" in shown
    assert "  time: 0 s" in shown


@pytest.mark.parametrize("columns", [1, 2, 13, 39, 79, 200])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 12, 24, 100])
@pytest.mark.parametrize("count", [0, 1, 30])
def test_every_size_holds_the_one_pointed_at(columns: int, rows: int, count: int) -> None:
    selection = Selection(entries(count, marked=count // 2))
    for lines in (0, 1, -3, 50, 1000, 1):
        selection.move(lines)
        lines_drawn = drawn(QUESTION, selection, columns, rows)
        assert len(lines_drawn) <= rows
        assert all(width(line) <= columns for _, line in lines_drawn)
        assert sum(style == POINTED for style, _ in lines_drawn) == 1


def test_clipping_counts_cells() -> None:
    assert clipped("abcdef", 6) == "abcdef"
    assert clipped("abcdef", 4) == "abc…"
    assert width(clipped("模型模型", 4)) <= 4
