"""`nutshell plan`: how a model would be run here, and why so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.planning import machine_line
from nutshell.cli.speech import padded, words, wrapped
from nutshell.language import Text, join, tr

if TYPE_CHECKING:
    from nutshell.pipeline.outlook import Outlook
    from nutshell.plan import Plan, Planner

DESCRIPTION = tr(
    "Explain how a model would be run on this machine: engine, device, precision, what stays in memory, time and "
    "memory expected, and why every other way was not taken. The model need not be here; nothing is fetched or loaded."
)
EXAMPLES = """\
  nutshell plan
  nutshell plan stable-diffusion-1.5 --size 384 --steps 10
  nutshell plan stable-diffusion-1.5 --max-memory 2G
"""
MODEL_HELP = tr("a model's name, its folder or file (default: as --model or the settings say)")
_LABEL = 14  # cells


def main(given: Sequence[str]) -> int:
    parser = make_parser("plan", DESCRIPTION, EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="MODEL", help=MODEL_HELP)
    add_settings(
        parser,
        *(
            "size",
            "steps",
            "fast",
            "reuse",
            "reuse_depth",
            "merge",
            "fewer_keys",
            "guidance_interval",
            "model",
            "models",
            "store",
            "sticks",
        ),
        *("engine", "precision", "threads", "max_memory", "learn", "json", "log_level"),
    )
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)
    name: str = arguments.name or settings["model"]

    from nutshell.cli.drawing import request_of
    from nutshell.pipeline.outlook import Wish, expect, outlook_json
    from nutshell.plan.settled import planner_of
    from nutshell.store.places import Places

    planner = planner_of(settings)
    expected = expect(
        name, Places.of(settings), planner, Wish(settings["size"], settings["steps"], request_of("", settings))
    )
    if settings["json"]:
        print(json.dumps(outlook_json(name, expected), ensure_ascii=False, default=str))
    else:
        for line in lines(name, expected, planner):
            print(line)
    return 0


def lines(name: str, expected: Outlook, planner: Planner) -> Iterator[str]:
    """For people."""
    plan = expected.plan
    assert plan is not None, "an outlook without a plan was told as an error"
    yield from wrapped(machine_line(planner), rest="  ")
    yield ""
    sizes = {"width": expected.width, "height": expected.height, "steps": expected.steps}
    if expected.steps == 1:
        yield words(tr("{name}, {width}x{height} pixels, 1 step", name=name, **sizes))
    else:
        yield words(tr("{name}, {width}x{height} pixels, {steps} steps", name=name, **sizes))
    for label, text in _rows(plan):
        yield from wrapped(text, f"  {padded(words(label), _LABEL)}  ", " " * (_LABEL + 4))
    yield from _listed(tr("Why"), plan.reasons)
    yield from _listed(tr("Not taken"), [tr("{name}: {reason}", name=it.what, reason=it.why) for it in plan.rejected])
    yield from _listed(tr("Faster"), plan.advice)


def _rows(plan: Plan) -> Iterator[tuple[Text, str]]:
    from nutshell.plan.words import megabytes, seconds_words

    in_place = tr("{engine}, weights used in place", engine=plan.engine)
    yield tr("engine"), in_place if plan.lean else plan.engine
    yield tr("device"), plan.device_title
    yield tr("precision"), plan.precision
    yield tr("threads"), tr("as the engine chooses") if plan.threads is None else str(plan.threads)
    one_at_a_time = tr("one stage at a time, each freed after use")
    yield tr("stays loaded"), join(", ", plan.resident) if plan.resident else one_at_a_time
    in_strips = tr("yes: the autoencoder works on strips of rows, without seams")
    yield tr("tiling"), in_strips if plan.strips else tr("no: the decoder draws in one piece")
    time = tr(
        "{picture} a picture: {load} to load, {step} a step",
        picture=seconds_words(plan.picture_seconds),
        load=seconds_words(plan.load_seconds),
        step=seconds_words(plan.step_seconds),
    )
    yield tr("time, guessed") if plan.guessed else tr("time, expected"), time
    need, ceiling = megabytes(plan.need_bytes), megabytes(plan.ceiling_bytes)
    yield tr("memory"), tr("{need} at the most, of {ceiling} allowed", need=need, ceiling=ceiling)
    if plan.device_bytes:
        yield tr("on the card"), tr("{need} at the most", need=megabytes(plan.device_bytes))


def _listed(title: Text, sentences: Sequence[Text]) -> Iterator[str]:
    if sentences:
        yield ""
        yield words(title)
    for sentence in sentences:
        yield from wrapped(sentence, "  ", "    ")
