"""Start the rows of one model and size, let them take turns, and gather the figures."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.install_size import installed_bytes
from bench.peers import Job
from bench.process import NotMeasured, Worker
from bench.rows import Row

PICTURE_STEPS = 20


@dataclass
class Figures:
    """One row of one model and size; None where it was not measured, and `reason` says why.

    step_seconds: one step of every round. turn: rows of the same turn took their steps side by side.
    load_seconds: process start to the end of the first step.
    picture_seconds: process start to a picture of PICTURE_STEPS steps, of which `picture_steps_run` were
    run and the rest reckoned from the median step.
    """

    model: str
    side: int
    row: str
    precision: str
    step_seconds: list[float] = field(default_factory=list)
    turn: int = 0
    load_seconds: float | None = None
    peak_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    picture_seconds: float | None = None
    picture_steps_run: int | None = None
    picture_peak_bytes: int | None = None
    install_bytes: int | None = None
    reason: str | None = None

    @property
    def title(self) -> str:
        return f"{self.row} {self.precision}"

    @property
    def median_seconds(self) -> float | None:
        return statistics.median(self.step_seconds) if self.step_seconds else None


@dataclass(frozen=True)
class Setting:
    """What is measured. parameters_bytes: of the denoiser in float32. picture_steps: 0 for no picture."""

    model: str
    folder: str
    side: int
    threads: int
    rounds: int
    picture_steps: int
    parameters_bytes: int


def measure(setting: Setting, rows: Sequence[Row], say: Callable[[str], None]) -> list[Figures]:
    """The figures of every row, in the order of `rows`."""
    results = {row: Figures(setting.model, setting.side, row.name, row.precision) for row in rows}
    for row, figures in results.items():
        figures.install_bytes = installed_bytes(row.packages)
    for precision in dict.fromkeys(row.precision for row in rows):
        waiting, turn = [row for row in rows if row.precision == precision], 0
        while waiting:
            taken = _take_turns(setting, waiting, results, say)
            for row in waiting[:taken]:
                results[row].turn = turn
            waiting, turn = waiting[taken:], turn + 1
    if setting.picture_steps:
        for row in rows:
            _picture(setting, row, results[row], say)
    return list(results.values())


def paired_ratio(ours: Figures, theirs: Figures) -> float | None:
    """Median over the rounds of our step's time by theirs: what slows the machine down slows both.

    None where they did not take turns.
    """
    if ours.turn != theirs.turn:
        return None
    pairs = list(zip(ours.step_seconds, theirs.step_seconds, strict=False))
    return statistics.median(mine / other for mine, other in pairs) if pairs else None


def _take_turns(setting: Setting, rows: Sequence[Row], results: dict[Row, Figures], say: Callable[[str], None]) -> int:
    """Load as many of `rows` as memory allows, then a step of each in turn. How many were taken."""
    with contextlib.ExitStack() as stack:
        live: dict[Row, Worker] = {}
        taken = 0
        for row in rows:
            # A peer may hold the weights three times over while it loads.
            if live and psutil.virtual_memory().available < 3 * setting.parameters_bytes + 2**30:
                break
            taken += 1
            figures = results[row]
            try:
                worker = stack.enter_context(Worker("step", _job(setting, row)))
                loaded = worker.answer()
            except NotMeasured as error:
                figures.reason = str(error)
                say(f"{setting.model} {setting.side} {row.title}: not measured: {error}")
                continue
            figures.load_seconds = loaded["wall_seconds"]
            figures.anonymous_bytes, figures.file_bytes = loaded["anonymous_bytes"], loaded["file_bytes"]
            live[row] = worker
            say(f"{setting.model} {setting.side} {row.title}: loaded in {figures.load_seconds:.1f} s")
        for _ in range(setting.rounds):
            _each(live, results, "step", lambda figures, said: figures.step_seconds.append(said["seconds"]))
        _each(live, results, "end", lambda figures, said: setattr(figures, "peak_bytes", said["peak_bytes"]))
    for row in live:
        median = results[row].median_seconds
        say(f"{setting.model} {setting.side} {row.title}: {median or float('nan'):.3f} s a step")
    return taken


def _each(
    live: dict[Row, Worker],
    results: dict[Row, Figures],
    what: str,
    keep: Callable[[Figures, dict[str, Any]], None],
) -> None:
    for row, worker in list(live.items()):
        try:
            keep(results[row], worker.ask(what))
        except NotMeasured as error:
            results[row].reason = str(error)
            del live[row]


def _picture(setting: Setting, row: Row, figures: Figures, say: Callable[[str], None]) -> None:
    """A whole picture by a process of its own."""
    if figures.reason:
        return
    try:
        with Worker("picture", _job(setting, row), setting.picture_steps) as worker:
            said = worker.answer()
    except NotMeasured as error:
        figures.reason = f"picture: {error}"
        return
    rest = (PICTURE_STEPS - setting.picture_steps) * (figures.median_seconds or 0.0)
    figures.picture_seconds = said["wall_seconds"] + rest
    figures.picture_steps_run = setting.picture_steps
    figures.picture_peak_bytes = said["peak_bytes"]
    say(f"{setting.model} {setting.side} {row.title}: picture in {figures.picture_seconds:.1f} s")


def _job(setting: Setting, row: Row) -> Job:
    return Job(row.peer, row.engine, row.precision, setting.folder, setting.side, setting.threads)
