"""What a fetch tells while it lasts, and how patient it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from nutshell.language import Text


class Watch:
    """Hears what happens; this one keeps it to itself. Sizes are in bytes."""

    def plan(self, name: str, total: int, here: int) -> None:
        """A model of `total` bytes begins, of which `here` are here."""

    def file(self, path: str, where: str) -> None:
        """A file is fetched from there."""

    def bytes(self, count: int) -> None:
        """That many more are here; fewer than none if some had to be thrown away."""

    def wait(self, seconds: float, reason: Text) -> None:
        """Nothing happens for that long."""

    def note(self, text: Text) -> None:
        """Something that the user should know."""

    def done(self) -> None:
        """The model is here, or something went wrong."""


@dataclass(frozen=True)
class Patience:
    """How often and how long to try again. tries: without a single new byte; the wait doubles from `first_seconds`
    up to `longest_seconds`. A server that asks for a wait gets it, up to `longest_seconds` too."""

    tries: int = 5
    first_seconds: float = 1.0
    longest_seconds: float = 120.0
    sleep: Callable[[float], None] = time.sleep

    def seconds(self, tried: int, asked: float | None) -> float:
        """The wait after try number `tried`, counted from 1."""
        grown = self.first_seconds * 2.0 ** (tried - 1)
        return min(self.longest_seconds, grown if asked is None else max(asked, self.first_seconds))
