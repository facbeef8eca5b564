"""Whether calibrating a model would help on this machine, told once for each model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nutshell.errors import NutshellError
from nutshell.language import Text, tr
from nutshell.pipeline.eight_bits import EightBits
from nutshell.plan import Need, Planner
from nutshell.plan.kept import read_table, state_folder, write_table
from nutshell.plan.words import seconds_words

FILE = "calibration-told.json"
_MOST_ROWS = 500


def advice(planner: Planner, need: Need, small: EightBits) -> Text | None:
    """A sentence where the plan would take eight bits if there were a card; None where not, or where it was told.

    It is noted as told only where there is a folder to note it in; elsewhere nothing is said, for it would be said
    of every picture.
    """
    if small.ready or small.problem is not None or planner.precision is not None:
        return None
    path = _path()
    if path is None or need.model in read_table(path):
        return None
    try:
        now = planner.plan(need)
        then = planner.plan(replace(need, eight_bits=True))
    except NutshellError:
        return None
    if then.precision != "int8":
        return None
    told = dict(list(read_table(path).items())[-_MOST_ROWS:]) | {need.model: True}
    if not write_table(path, told):
        return None
    return tr(
        "eight bits would draw this in about {then} instead of {now}: nutshell calibrate {model}",
        then=seconds_words(then.picture_seconds),
        now=seconds_words(now.picture_seconds),
        model=need.model,
    )


def _path() -> Path | None:
    folder = state_folder()
    return folder / FILE if folder is not None else None
