"""After a run: what it took, for the next estimate."""

from __future__ import annotations

import statistics
import time

from nutshell.pipeline.picture import OnStep, Progress
from nutshell.plan import Plan, Ratios

# A process that holds this much before the model is part of a larger program, whose memory is not ours to reckon.
_MOST_HELD_BYTES = 150_000_000


class StepClock:
    """Passes steps on to `on_step`, and keeps how long they took without it."""

    def __init__(self, on_step: OnStep | None) -> None:
        self._on_step = on_step
        self._last: tuple[int, float] | None = None
        self._seconds: list[float] = []

    def __call__(self, progress: Progress) -> None:
        now = time.perf_counter()
        # From one step's end to the next one's, within a picture: the first has no beginning that is known here.
        if self._last is not None and self._last[0] == progress.picture:
            self._seconds.append(now - self._last[1])
        if self._on_step is not None:
            self._on_step(progress)
        self._last = (progress.picture, time.perf_counter())

    @property
    def step_seconds(self) -> float | None:
        """The median; None before the second step."""
        return statistics.median(self._seconds) if self._seconds else None


def note_run(ratios: Ratios, plan: Plan, held_bytes: int, peak_bytes: int | None, step_seconds: float | None) -> None:
    """Keep measured over predicted. peak_bytes: None if not everything was loaded during the run."""
    memory = seconds = None
    if peak_bytes is not None and held_bytes <= _MOST_HELD_BYTES and plan.need_bytes:
        memory = plan.ratio.memory * peak_bytes / plan.need_bytes
    if step_seconds is not None and plan.step_seconds:
        seconds = plan.ratio.seconds * step_seconds / plan.step_seconds
    if memory is not None or seconds is not None:
        ratios.note(plan.key, memory=memory, seconds=seconds)
