"""Draws with one model in a process of its own, so that the memory of one is not counted to the other."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nutshell
from nutshell.errors import EngineError, NutshellError
from nutshell.language import tr
from nutshell.pipeline import Progress

Json = dict[str, Any]

_SOURCE = Path(nutshell.__file__).parents[1]
# As `python -m nutshell.compress.report_child`, which would import from the folder that it was started in.
_START = """\
import sys
sys.path = [sys.argv.pop(1), *filter(None, sys.path)]
from nutshell.compress.report_child import main
main()
"""


def draw_apart(model: Mapping[str, str], orders: list[Json], loading: Mapping[str, Any], folder: Path) -> Json:
    """Draw every order with a model in a new process; pictures become 0.png, 1.png ... in `folder`.

    model: {"path", "base"}. orders: arguments of `Model.generate`. loading: those of `nutshell.load`. Returns
    {"step_seconds", "load_seconds", "peak_bytes"}, step_seconds None where no picture has two steps. Raises
    EngineError with what the process said at last.
    """
    job = json.dumps({"model": dict(model), "orders": orders, "loading": dict(loading), "folder": str(folder)})
    done = subprocess.run(
        [sys.executable, "-c", _START, str(_SOURCE)], input=job, capture_output=True, text=True, encoding="utf-8"
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = done.stderr.strip().splitlines()[-1:] or [tr("exit code {code}", code=done.returncode)]
        raise EngineError(tr("{model} could not be run: {reason}", model=model["path"], reason=last[0]))
    answer: Json = json.loads(lines[-1])
    if "error" in answer:
        raise EngineError(tr("{model} could not be run: {reason}", model=model["path"], reason=answer["error"]))
    return answer


def main() -> None:
    """Read a job from standard input, draw, and write the answer as the last line of standard output."""
    job = json.loads(sys.stdin.read())
    try:
        answer = _draw(job)
    except NutshellError as error:
        answer = {"error": error.message}
    print(json.dumps(answer), flush=True)


class _Clock:
    """Notes when each step of a picture is done."""

    def __init__(self) -> None:
        self._told: list[float] = []

    def __call__(self, progress: Progress) -> None:
        self._told.append(time.perf_counter())

    @property
    def step_seconds(self) -> list[float]:
        """Of every step but the first, which also builds and loads."""
        return [after - before for before, after in zip(self._told[:-1], self._told[1:], strict=True)]


def _draw(job: Json) -> Json:
    from nutshell.store import Found

    given = job["model"]
    found = Found(Path(given["path"]), Path(given["base"]) if given["base"] else None)
    seconds: list[float] = []
    peak = 0
    begun = time.perf_counter()
    with nutshell.load(found, learn=False, **job["loading"]) as model:
        load = time.perf_counter() - begun
        for place, order in enumerate(job["orders"]):
            clock = _Clock()
            picture = model.generate(**order, on_step=clock)
            seconds += clock.step_seconds
            peak = max(peak, picture.peak_bytes)
            picture.save(Path(job["folder"]) / f"{place}.png")
    return {
        "step_seconds": statistics.median(seconds) if seconds else None,
        "load_seconds": load,
        "peak_bytes": peak,
    }
