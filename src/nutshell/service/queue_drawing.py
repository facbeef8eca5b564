"""One drawing: the worker at work for one job, or for several that asked for the same."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from nutshell.errors import Cancelled, NutshellError, OutputError
from nutshell.language import Text, tr
from nutshell.service import store_jobs
from nutshell.service.gallery import Gallery, Item, picture_id
from nutshell.service.job import Event, Fault
from nutshell.service.queue_entry import Entry, pictures_of
from nutshell.service.sentences import sentence_from_json
from nutshell.service.store_jobs import Record
from nutshell.service.wish import Wish
from nutshell.service.worker import Drawn, Loading, Told, Worker, WorkerDied

_LOG = logging.getLogger(__name__)

UNEXPECTED, SEE_LOG = tr("the drawing failed unexpectedly"), tr("see the service's log")


@dataclass(frozen=True)
class Outcome:
    """How a drawing ended; all empty: well. died: why the worker did. stopped: on purpose."""

    fault: Fault | None = None
    died: Text | None = None
    stopped: bool = False


@dataclass(eq=False)
class Drawing:
    """owner: the first job, whose id gives the pictures theirs. members: the jobs that are served, one at least unless
    all were cancelled. pictures: ids, those done.

    open: another job may still join. loaded: a model was loaded on the way, so its time tells nothing of the next.
    """

    owner: str
    members: list[Entry]
    worker: Worker
    gallery: Gallery
    save: Callable[[Sequence[Record]], Awaitable[None]]
    pictures: tuple[str, ...] = ()
    open: bool = True
    loaded: bool = False
    left: tuple[float, float] | None = None  # seconds left, and at what time (monotonic) that was said
    _before: int = 0  # pictures that an earlier attempt drew
    _failed: NutshellError | None = None
    _storing: list[asyncio.Task[None]] = field(default_factory=list)
    _in_turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def share(self) -> str:
        return self.members[0].record.share if self.members else ""

    @property
    def resumed(self) -> bool:
        """Whether a part was drawn by an earlier attempt."""
        return self._before > 0

    async def run(self, wish: Wish, *, leaner: bool) -> Outcome:
        """Draw what is not in the gallery yet. wish: with its pictures. Nobody can join any more when it is over."""
        self._before = len(self.pictures)
        try:
            if self._before < wish.count:
                # The seeds count up with the pictures, so the rest is a wish of its own.
                rest = replace(wish, seed=(wish.seed or 0) + self._before, count=wish.count - self._before)
                await self.worker.draw(rest, self._tell, leaner=leaner)
            return Outcome()
        except Cancelled:
            return Outcome(stopped=True)
        except WorkerDied as error:
            return Outcome(died=sentence_from_json(error.args[0] if error.args else tr("it ended")))
        except NutshellError as error:
            return Outcome(fault_of(error))
        except Exception:  # noqa: BLE001 (logged; the queue outlives any fault of a worker)
            _LOG.exception("the worker failed in a way that it should not")
            return Outcome(Fault("NutshellError", UNEXPECTED, SEE_LOG))
        finally:
            self.open = False

    async def stored(self) -> Fault | None:
        """Wait until all that was drawn so far is in the gallery; why one is not."""
        if self._storing:
            await asyncio.wait(self._storing)
        return None if self._failed is None else fault_of(self._failed)

    def join(self, entry: Entry) -> None:
        """Serve one more job."""
        self.members.append(entry)
        entry.change(pictures=self.pictures)

    def leave(self, entry: Entry) -> None:
        """Serve it no more, but for what is being stored; the worker stops when nobody is left."""
        self.members.remove(entry)
        if not self.members:
            self._stop_worker()

    def _stop_worker(self) -> None:
        if self.open:  # else it is at work for others
            self.worker.cancel()

    def _tell(self, told: Told) -> None:
        if not self.members or self._failed is not None:
            return
        if isinstance(told, Drawn):
            task = asyncio.get_running_loop().create_task(self._keep(told, list(self.members)))
            self._storing.append(task)
            task.add_done_callback(self._storing.remove)
            return
        if isinstance(told, Loading):
            self.loaded = True
            self._publish(Event("loading", ""))
            return
        self.left = told.seconds_left, time.monotonic()
        event = Event(
            "step", "", seconds_left=told.seconds_left, step=told.step, total=told.total,
            picture=told.picture + self._before,
        )  # fmt: skip
        self._publish(event)
        if told.preview:
            self._publish(replace(event, kind="preview", preview=told.preview))

    async def _keep(self, drawn: Drawn, members: Sequence[Entry]) -> None:
        """Into the gallery and into the jobs' rows in one transaction, so that neither is there without the other."""
        async with self._in_turn:
            if self._failed is not None:
                return
            before, numbers = self.pictures, [entry.job.number for entry in members]

            def within(database: sqlite3.Connection, item: Item) -> None:
                store_jobs.set_pictures(database, numbers, (*before, item.id))

            try:
                item = await asyncio.to_thread(
                    self.gallery.add,
                    members[0].job.id,
                    drawn.png,
                    drawn.parameters,
                    id=picture_id(self.owner, len(before) + 1),
                    within=within,
                )
            except OutputError as error:
                self._failed = error
                self._stop_worker()
                return
            self.pictures = (*before, item.id)
            late = [entry for entry in self.members if entry not in members]
            for entry in (*members, *late):
                told = len(entry.job.pictures)
                entry.change(pictures=self.pictures)
                for event in list(pictures_of(entry.job))[told:]:
                    entry.publish(event)
            if late:
                await self.save([entry.record for entry in late])

    def _publish(self, event: Event) -> None:
        for entry in self.members:
            entry.publish(event)


def fault_of(error: NutshellError) -> Fault:
    return Fault(type(error).__name__, error.message, error.hint)
