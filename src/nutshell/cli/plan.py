"""`nutshell plan`: how a model would be run here, and why so."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nutshell.cli.models import WIDTH
from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.planning import machine_line, planner_of
from nutshell.cli.speech import one_line
from nutshell.language import tr

if TYPE_CHECKING:
    from nutshell.pipeline.outlook import Outlook
    from nutshell.plan import Plan, Planner

DESCRIPTION = """\
Explain how a model would be run on this machine: engine, device, precision, what stays in memory, time and memory
expected, and why every other way was not taken. The model need not be here; nothing is fetched or loaded."""
EXAMPLES = """\
examples:
  nutshell plan
  nutshell plan stable-diffusion-1.5 --size 384 --steps 10
  nutshell plan stable-diffusion-1.5 --max-memory 2G
"""
MODEL_HELP = "a model's name, its folder or file (default: as --model or the settings say)"
ONE_PIECE = "no: the decoder draws in one piece"


def main(words: Sequence[str]) -> int:
    parser = make_parser("plan", DESCRIPTION, EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="MODEL", help=MODEL_HELP)
    add_settings(
        parser,
        *("size", "steps", "model", "models", "store", "sticks"),
        *("engine", "precision", "threads", "max_memory", "learn", "json", "log_level"),
    )
    arguments = parser.parse_intermixed_args(words)
    settings = settle(arguments)
    name: str = arguments.name or settings["model"]
    planner = planner_of(settings)
    expected = _outlook(name, settings, planner)
    if settings["json"]:
        print(json.dumps(_plain(name, expected), ensure_ascii=False, default=str))
    else:
        for line in lines(name, expected, planner):
            print(line)
    return 0


def _outlook(name: str, settings: Any, planner: Planner) -> Outlook:
    from nutshell.catalogue import cards
    from nutshell.errors import NotEnoughMemory, UnsupportedModel
    from nutshell.pipeline.outlook import NOT_YET, TOO_LARGE, Wish, outlook
    from nutshell.plan.words import ceiling_words
    from nutshell.store import find, installed
    from nutshell.store.places import Places

    places, card = Places.of(settings), cards().get(name)
    here = card is None or installed(card, places)
    found = find(name, places) if here else None
    card = found.card if found is not None and found.card is not None else card
    expected = outlook(card, planner, found, Wish(settings["size"], settings["steps"]))
    if expected.verdict == NOT_YET:
        raise UnsupportedModel(
            tr("{name} cannot be run yet: {why}", name=name, why=expected.why), tr("nutshell models lists what can")
        )
    if expected.verdict == TOO_LARGE:
        need = expected.need_bytes or 0
        hint = ceiling_words(need, planner.max_memory, planner.machine.usable_bytes)
        raise NotEnoughMemory(need, planner.ceiling_bytes, "; ".join(part for part in (hint, expected.fix) if part))
    return expected


def lines(name: str, expected: Outlook, planner: Planner) -> Iterator[str]:
    """For people."""
    from nutshell.plan.words import megabytes, seconds_words

    plan = expected.plan
    assert plan is not None, "an outlook without a plan was told as an error"
    yield from textwrap.wrap(one_line(machine_line(planner)), WIDTH, subsequent_indent="  ")
    yield ""
    yield one_line(f"{name}, {expected.width}x{expected.height} pixels, {expected.steps} steps")
    about = "guessed" if plan.guessed else "expected"
    rows = {
        "engine": plan.engine + (", weights used in place" if plan.lean else ""),
        "device": plan.device_title,
        "precision": plan.precision,
        "threads": "as the engine chooses" if plan.threads is None else str(plan.threads),
        "stays loaded": ", ".join(plan.resident) or "one stage at a time, each freed after use",
        "tiling": ONE_PIECE,
        f"time, {about}": (
            f"{seconds_words(plan.picture_seconds)} a picture: {seconds_words(plan.load_seconds)} to load, "
            f"{seconds_words(plan.step_seconds)} a step"
        ),
        "memory": f"{megabytes(plan.need_bytes)} at the most, of {megabytes(plan.ceiling_bytes)} allowed",
    }
    if plan.device_bytes:
        rows["on the card"] = f"{megabytes(plan.device_bytes)} at the most"
    for key, value in rows.items():
        yield f"  {key:<14}  {one_line(value)}"
    yield from _listed("Why", plan.reasons)
    yield from _listed("Not taken", [f"{item.what}: {item.why}" for item in plan.rejected])
    yield from _listed("Faster", plan.advice)


def _listed(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield ""
        yield title
    for sentence in sentences:
        yield from textwrap.wrap(one_line(sentence), WIDTH, initial_indent="  ", subsequent_indent="    ")


def _plain(name: str, expected: Outlook) -> dict[str, Any]:
    plan: Plan | None = expected.plan
    return {
        "model": name,
        "width": expected.width,
        "height": expected.height,
        "steps": expected.steps,
        "verdict": expected.verdict,
        "plan": asdict(plan) if plan is not None else None,
    }
