"""How long drawings take here, learned from those that were drawn."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from nutshell.service.wish import Wish

_KINDS = 500  # of wishes that are remembered
_WEIGHT = 0.3  # of the newest: the mean follows a machine that grows hot, without jumping
_UNKNOWN_SECONDS = 30.0


class Pace:
    """Seconds for a picture, by what decides them: model, size, steps and how they are drawn."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[tuple[Any, ...], float] = OrderedDict()
        self._any: float | None = None

    def learn(self, wish: Wish, seconds: float) -> None:
        """A drawing of all the wish's pictures took that long."""
        each, kind = seconds / wish.count, _kind(wish)
        self._seconds[kind] = _mean(self._seconds.pop(kind, None), each)
        self._any = _mean(self._any, seconds)
        if len(self._seconds) > _KINDS:
            self._seconds.popitem(last=False)

    def seconds(self, wish: Wish) -> float | None:
        """For all its pictures; None where nothing like it was drawn yet."""
        each = self._seconds.get(_kind(wish))
        return None if each is None else each * wish.count

    @property
    def usual_seconds(self) -> float:
        """For a job of no special kind."""
        return _UNKNOWN_SECONDS if self._any is None else self._any


def _mean(before: float | None, now: float) -> float:
    return now if before is None else before + _WEIGHT * (now - before)


def _kind(wish: Wish) -> tuple[Any, ...]:
    # A wish that was written down has lost its picture, not what it asks for: strength counts only with one.
    return wish.model, wish.width, wish.height, wish.steps, wish.sampler, wish.guidance, wish.strength
