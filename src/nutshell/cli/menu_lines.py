"""A selection drawn: as many lines as a terminal of this size shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nutshell.cli.menu_selection import Entry, Selection
from nutshell.cli.speech import padded, width, words, wrapped
from nutshell.language import Text, join, tr

NOTHING_FITS = tr("nothing fits; Esc shows all again")
POINTER = ">"
GAP = "  "
MOST_DETAILS = 4  # lines
ROOMY = 20  # rows
LEAST_STRETCH = 30  # cells

# (style, line): styles are prompt_toolkit's, https://python-prompt-toolkit.readthedocs.io/en/stable/pages/advanced_topics/styling.html
Lines = list[tuple[str, str]]
PLAIN, TITLE, HEAD, POINTED, DETAIL = "", "bold", "class:head", "bold reverse", "class:detail"


@dataclass(frozen=True)
class Column:
    """One column. keep: where the terminal is narrow, those with the highest number stay. figures: to the right.

    stretches: is cut to the room that is left.
    """

    title: Text
    keep: int
    figures: bool = True
    stretches: bool = False


@dataclass(frozen=True)
class Question:
    """What stands above the entries. keys: which keys do what. star: the mark of the recommended entry."""

    title: Text
    keys: Text
    columns: tuple[Column, ...] = ()
    star: str = "*"


def drawn(question: Question, selection: Selection[Any], columns: int, rows: int) -> Lines:
    """At most `rows` lines of at most `columns` cells; the entry that is pointed at is always among them."""
    above: Lines = [(PLAIN, "")] if rows >= ROOMY else []
    above += [(TITLE, line) for line in wrapped(question.title, columns=columns)]
    if selection.typed:
        above.append((TITLE, f"/ {selection.typed}"))
    else:
        above += [(DETAIL, line) for line in wrapped(question.keys, columns=columns)]
    table = Table.of(question, selection.entries, columns)
    if table.head:
        above.append((HEAD, table.head))
    below: Lines = [(DETAIL, line) for line in _details(question, selection, table, columns)]
    # The list itself matters most, then what is said of the entry.
    room = rows - len(above) - len(below)
    if room < min(3, len(selection.found)):
        below, room = [], rows - len(above)
    if room < 1:
        above, room = [], rows
    lines = [*above, *_entries(question, selection, table, room), *below]
    return [(style, clipped(line, columns)) for style, line in lines]


def _entries(question: Question, selection: Selection[Any], table: Table, room: int) -> Lines:
    if not selection.found:
        return [(PLAIN, words(NOTHING_FITS))]
    # The one that is pointed at in the middle, and no blank lines at the end.
    first = max(0, min(selection.pointed - room // 2, len(selection.found) - room))
    lines: Lines = []
    for place, entry in enumerate(selection.found[first : first + room], first):
        pointed = place == selection.pointed
        start = f"{POINTER if pointed else ' '} {padded(question.star if entry.mark else '', table.mark_cells)}"
        lines.append((POINTED if pointed else PLAIN, start + table.line(entry)))
    return lines


def _details(question: Question, selection: Selection[Any], table: Table, columns: int) -> list[str]:
    """As many lines whatever is pointed at, so that nothing jumps."""

    def lines(entry: Entry[Any]) -> list[str]:
        told: list[str] = [*entry.details[:1], *_left_out(question, table, entry), *entry.details[1:]]
        return [line for detail in told for line in wrapped(detail, GAP, GAP, columns)][:MOST_DETAILS]

    most = max((len(lines(entry)) for entry in selection.entries), default=0)
    shown = lines(selection.current) if selection.current is not None else []
    return ["", *shown, *[""] * (most - len(shown))] if most else []


def _left_out(question: Question, table: Table, entry: Entry[Any]) -> list[Text]:
    """What there was no column for, as `time: 34 s, memory: 4.3 GB`."""
    if len(entry.cells) == 1:
        return []
    shown = {place for place, _, _ in table.shown}
    pairs = [
        tr("{column}: {value}", column=column.title, value=cell)
        for place, (column, cell) in enumerate(zip(question.columns, entry.cells, strict=True))
        if place not in shown and column.title
    ]
    return [join(", ", pairs)] if pairs else []


def clipped(text: str, cells: int) -> str:
    """`text` in at most so many cells."""
    from wcwidth import clip

    return text if width(text) <= cells else clip(text, 0, cells - 1) + "…"


@dataclass(frozen=True)
class Table:
    """The columns that there is room for. shown: (place among the cells, width, figures)."""

    head: str
    shown: tuple[tuple[int, int, bool], ...]
    mark_cells: int

    @staticmethod
    def of(question: Question, entries: Sequence[Entry[Any]], columns: int) -> Table:
        mark_cells = width(question.star) + 1 if any(entry.mark for entry in entries) else 0
        rows = [entry.cells for entry in entries if len(entry.cells) > 1]
        if not rows:
            return Table("", ((0, 0, False),), mark_cells)
        heads = tuple(words(column.title) for column in question.columns)
        widths = [max(map(width, cells)) for cells in zip(heads, *rows, strict=True)]
        room = columns - len(POINTER) - 1 - mark_cells + len(GAP)
        places: list[int] = []
        for place in sorted(range(len(heads)), key=lambda place: -question.columns[place].keep):
            if question.columns[place].stretches and room >= LEAST_STRETCH:
                widths[place] = min(widths[place], room - len(GAP))
            if not places or widths[place] + len(GAP) <= room:
                places.append(place)
                room -= widths[place] + len(GAP)
        shown = tuple((place, widths[place], question.columns[place].figures) for place in sorted(places))
        head = Table("", shown, mark_cells).line(Entry(None, heads))
        return Table(" " * (len(POINTER) + 1 + mark_cells) + head, shown, mark_cells)

    def line(self, entry: Entry[Any]) -> str:
        if len(entry.cells) == 1:
            return entry.cells[0]
        cells = (padded(clipped(entry.cells[place], most), most, right=right) for place, most, right in self.shown)
        return GAP.join(cells).rstrip()
