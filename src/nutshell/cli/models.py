"""`nutshell models`: what this machine can run, best first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.planning import GUESSED, machine_line
from nutshell.cli.speech import padded, width, words, wrapped
from nutshell.language import Text, join, tr

if TYPE_CHECKING:
    from nutshell.pipeline.model_rows import Row
    from nutshell.pipeline.outlook import Outlook
    from nutshell.plan import Planner

DESCRIPTION = tr(
    "List the models that draw pictures: what this machine can run, best first, with the time for one picture, the "
    "most memory it takes and the size of the download. Nothing is fetched or loaded."
)
EXAMPLES = """\
  nutshell models
  nutshell models --max-memory 2G
  nutshell plan stable-diffusion-1.5
"""
HEAD = (tr("model"), tr("picture"), tr("time"), tr("memory"), tr("download"), tr("verdict"))
LONGEST_NAME = 26  # cells; a longer one pushes the rest of its line away
INDENT = "    "
HINTS = (
    tr("time and memory: of one picture of that size, with the model's usual steps, loading included."),
    tr("nutshell pull MODEL fetches one; nutshell plan MODEL explains; nutshell PROMPT --model MODEL draws."),
)


def main(arguments: Sequence[str]) -> int:
    parser = make_parser("models", DESCRIPTION, EXAMPLES)
    add_settings(
        parser,
        *("size", "steps", "models", "store", "sticks", "engine", "precision", "threads", "max_memory", "learn"),
        *("json", "log_level"),
    )
    settings = settle(parser.parse_args(arguments))

    from nutshell.pipeline.model_rows import model_rows
    from nutshell.plan.settled import planner_of

    planner = planner_of(settings)
    rows = model_rows(planner, settings)
    for line in json_lines(rows) if settings["json"] else table(rows, planner):
        print(line)
    return 0


def table(rows: Sequence[Row], planner: Planner) -> Iterator[str]:
    """For people: a line of figures and a line of words for each model, no wider than COLUMNS."""
    yield from wrapped(machine_line(planner), rest=INDENT)
    if planner.rates.guessed:
        yield from wrapped(GUESSED)
    yield ""
    head = [words(cell) for cell in HEAD]
    cells = [[words(cell) for cell in _cells(row)] for row in rows]
    widths = [max(map(width, column)) for column in zip(head, *cells, strict=True)]
    widths[0] = min(widths[0], LONGEST_NAME)
    yield _aligned(head, widths)
    for row, line in zip(rows, cells, strict=True):
        yield _aligned(line, widths)
        for text in filter(None, (row.title, _explained(row.outlook))):
            yield from wrapped(text, INDENT, INDENT)
    yield ""
    for hint in HINTS:
        yield from wrapped(hint)


def json_lines(rows: Sequence[Row]) -> Iterator[str]:
    """One object a model."""
    for row in rows:
        plan = row.outlook.plan
        content = {
            "name": row.name,
            "title": row.title,
            "licence": row.licence,
            "commercial": row.commercial,
            "installed": row.installed,
            "verdict": row.outlook.verdict,
            "why": row.outlook.why,
            "fix": row.outlook.fix,
            "width": row.outlook.width,
            "height": row.outlook.height,
            "steps": row.outlook.steps,
            "seconds": round(plan.picture_seconds, 3) if plan else None,
            "guessed": plan.guessed if plan else None,
            "need_bytes": row.outlook.need_bytes,
            "engine": plan.engine if plan else None,
            "device": plan.device if plan else None,
            "precision": plan.precision if plan else None,
            "download_bytes": row.download_bytes,
        }
        yield json.dumps(content, ensure_ascii=False)


def _cells(row: Row) -> tuple[str, ...]:
    from nutshell.plan.words import megabytes, seconds_words

    expected = row.outlook
    size = f"{expected.width}x{expected.height}" if expected.width else "-"
    time = seconds_words(expected.plan.picture_seconds) if expected.plan else "-"
    memory = megabytes(expected.need_bytes) if expected.need_bytes else "-"
    return row.name, size, time, memory, row.download, expected.verdict


def _explained(expected: Outlook) -> Text:
    advice = expected.plan.advice if expected.plan else ()
    return join("; ", filter(None, (expected.why, expected.fix, *advice)))


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Names and words to the left, figures to the right."""
    right = (False, True, True, True, True, False)
    parts = [padded(cell, wide, right=figures) for cell, wide, figures in zip(cells, widths, right, strict=True)]
    return "  ".join(parts).rstrip()
