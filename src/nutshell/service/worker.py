"""What draws: a process of its own, so that the web side answers while it works, and outlives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nutshell.service.wish import Wish


@dataclass(frozen=True)
class Loading:
    """The model is being opened, or another is."""

    model: str


@dataclass(frozen=True)
class Step:
    """A denoising step is done. Fields as `nutshell.pipeline.Progress`; preview: a JPEG, empty for none."""

    step: int
    total: int
    picture: int
    pictures: int
    seconds_left: float
    preview: bytes = b""


@dataclass(frozen=True)
class Drawn:
    """A picture is done. png: the file, its parameters in it."""

    picture: int
    png: bytes
    parameters: dict[str, Any]


Told = Loading | Step | Drawn


class WorkerDied(Exception):
    """The process ended under a job: killed, out of memory, crashed. `str()` says which (a Text)."""


class Worker(Protocol):
    """Draws one wish at a time."""

    async def draw(self, wish: Wish, tell: Callable[[Told], None], *, leaner: bool = False) -> None:
        """Draw, telling what happens. leaner: plan for less memory, after a worker died of this wish.

        Raises what the pipeline raised (NutshellError), Cancelled after `cancel`, WorkerDied.
        """

    def cancel(self) -> None:
        """Stop what is being drawn, within one step."""

    @property
    def loaded(self) -> str | None:
        """The model that is open."""

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the process, 0 where there is none."""

    async def unload(self) -> None:
        """Close the model when nothing is drawn; the memory goes back to the system."""

    async def close(self, grace_seconds: float = 10.0) -> None:
        """Stop after the present step and end the process."""
