"""A job: what was asked for, how far it is, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nutshell.language import Text
from nutshell.service.wish import Wish

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True)
class Fault:
    """Why a job failed. kind: the name of an error's class in `nutshell.errors`, or "WorkerDied".

    message, hint: translated where they are shown, for each reader in their own language.
    """

    kind: str
    message: Text
    hint: Text


@dataclass(frozen=True)
class Job:
    """number: counts up, which gives the order (no clock does). id: unguessable. client: who asked.

    created, started, finished: seconds since 1970, for people only. attempts: how often it was begun.
    pictures: ids in the gallery, those done so far. notes: what was changed on the way, such as a leaner plan.
    """

    number: int
    id: str
    client: str
    state: State
    wish: Wish
    created: float
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    pictures: tuple[str, ...] = ()
    fault: Fault | None = None
    notes: tuple[Text, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


Kind = Literal["queued", "loading", "step", "preview", "picture", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Event:
    """What those who follow a job are told. The last one is done, failed or cancelled.

    position: with "queued", how many jobs are served before it, from 0. seconds_left: an estimate, None where nothing
    is known. step, total: of the picture that is drawn; picture, pictures: 1 to pictures. preview: a JPEG of the
    present guess (with "preview"). picture_id: in the gallery (with "picture"). fault: with "failed".
    note: what was changed on the way (with "queued" after a worker died).
    """

    kind: Kind
    job: str
    position: int = 0
    seconds_left: float | None = None
    step: int = 0
    total: int = 0
    picture: int = 0
    pictures: int = 1
    preview: bytes = b""
    picture_id: str = ""
    fault: Fault | None = None
    note: Text | None = None
