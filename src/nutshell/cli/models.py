"""`nutshell models`: what this machine can run, best first."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nutshell.cli.model_rows import Row, model_rows
from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.planning import guess_line, machine_line, planner_of
from nutshell.cli.speech import one_line

if TYPE_CHECKING:
    from nutshell.pipeline.outlook import Outlook
    from nutshell.plan import Planner

DESCRIPTION = """\
List the models that draw pictures: what this machine can run, best first, with the time for one picture, the most
memory it takes and the size of the download. Nothing is fetched or loaded."""
EXAMPLES = """\
examples:
  nutshell models
  nutshell models --max-memory 2G
  nutshell plan stable-diffusion-1.5
"""
HEAD = ("model", "picture", "time", "memory", "download", "verdict")
WIDTH = 100
INDENT = "    "
HINTS = (
    "time and memory: of one picture of that size, with the model's usual steps, loading included.",
    "nutshell pull MODEL fetches one; nutshell plan MODEL explains; nutshell PROMPT --model MODEL draws.",
)


def main(words: Sequence[str]) -> int:
    parser = make_parser("models", DESCRIPTION, EXAMPLES)
    add_settings(
        parser,
        *("size", "steps", "models", "store", "sticks", "engine", "precision", "threads", "max_memory", "learn"),
        *("json", "log_level"),
    )
    settings = settle(parser.parse_args(words))

    planner = planner_of(settings)
    rows = model_rows(planner, settings)
    for line in json_lines(rows) if settings["json"] else table(rows, planner):
        print(line)
    return 0


def table(rows: Sequence[Row], planner: Planner) -> Iterator[str]:
    """For people: a line of figures and a line of words for each model, no wider than WIDTH."""
    yield from textwrap.wrap(one_line(machine_line(planner)), WIDTH, subsequent_indent=INDENT)
    yield from filter(None, [guess_line(planner)])
    yield ""
    cells = [[one_line(cell) for cell in _cells(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(HEAD, *cells, strict=True)]
    widths[0] = min(widths[0], 26)
    yield _aligned(HEAD, widths)
    for row, line in zip(rows, cells, strict=True):
        yield _aligned(line, widths)
        for words in (row.title, _explained(row.outlook)):
            yield from textwrap.wrap(one_line(words), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    yield ""
    yield from HINTS


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


def _explained(expected: Outlook) -> str:
    return "; ".join(
        part for part in (expected.why, expected.fix, *(expected.plan.advice if expected.plan else ())) if part
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Names and words to the left, figures to the right."""
    right = (False, True, True, True, True, False)
    parts = [
        f"{cell:>{width}}" if figures else f"{cell:<{width}}"
        for cell, width, figures in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(parts).rstrip()
