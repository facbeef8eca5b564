"""The models of the menu: those that run on this machine, and the one to begin with."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nutshell.cli.menu_lines import Column
from nutshell.cli.menu_selection import Entry
from nutshell.cli.speech import one_line, words
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from nutshell.pipeline.model_rows import Row

RECOMMENDED = tr("Recommended to begin with: it is here already.")
DOCTOR_ROW = tr("what is wrong with this machine (doctor)")
QUIT_ROW = tr("quit")
NO_TITLE = tr("")
MOST_NAME = 30  # cells; files may have long names


class Other(enum.Enum):
    """What can be chosen beside a model."""

    DOCTOR = enum.auto()
    QUIT = enum.auto()


def columns(guessed: bool) -> tuple[Column, ...]:
    """Of the list; where the terminal is narrow, names stay, then download, time, memory, size."""
    return (
        Column(tr("model"), 5, figures=False),
        Column(tr("picture"), 1),
        Column(tr("time, guessed") if guessed else tr("time"), 3),
        Column(tr("memory"), 2),
        Column(tr("download"), 4),
        Column(NO_TITLE, 0, figures=False, stretches=True),
    )


def runnable(rows: Sequence[Row]) -> list[Row]:
    """Those that run here, in the order they came."""
    from nutshell.pipeline.outlook import SLOWLY, WELL

    return [row for row in rows if row.outlook.verdict in (WELL, SLOWLY)]


def recommended(rows: Sequence[Row]) -> Row | None:
    """What somebody who knows nothing should begin with. rows: best first.

    It is here already and runs well, and any use is allowed or its owner's own matter; of such the best.
    """
    from nutshell.pipeline.outlook import WELL

    here = [row for row in rows if row.installed]
    ranked = sorted(here, key=lambda row: (row.outlook.verdict != WELL, row.commercial is False))
    return next(iter(ranked), None)


def entries(rows: Sequence[Row]) -> list[Entry[Row | Other]]:
    """The list. rows: those that run here, best first."""
    begin = recommended(rows)
    lines: list[Entry[Row | Other]] = [_entry(row, row is begin) for row in rows]
    for value, text in ((Other.DOCTOR, DOCTOR_ROW), (Other.QUIT, QUIT_ROW)):
        lines.append(Entry(value, (words(text),), also=text))
    return lines


def _entry(row: Row, mark: bool) -> Entry[Row | Other]:
    from nutshell.cli.menu_lines import clipped
    from nutshell.plan.words import megabytes, seconds_words

    expected = row.outlook
    time = words(seconds_words(expected.plan.picture_seconds)) if expected.plan else "-"
    memory = words(megabytes(expected.need_bytes)) if expected.need_bytes else "-"
    size, title, name = f"{expected.width}x{expected.height}", words(row.title), clipped(one_line(row.name), MOST_NAME)
    sentences = [licence(row), RECOMMENDED if mark else None]
    details = (title, *(words(sentence) for sentence in sentences if sentence))
    # What is shown is found too; English names are known everywhere.
    also = f"{row.name} {row.title}"
    return Entry(row, (name, size, time, memory, words(row.download), title), details, also, mark)


def licence(row: Row) -> Text | None:
    """Nothing of a user's own files, whose licence is theirs to know."""
    if not row.licence:
        return None
    if row.commercial is False:
        return tr("Licence: {licence}, not for commercial use.", licence=row.licence)
    return tr("Licence: {licence}.", licence=row.licence)
