"""The queue of jobs: what all faces share. All coroutines run on one event loop.

    submit -> store (SQLite) -> fair order -> drawing (worker -> gallery) -> done
                                                `- events -> followers

`queue_line` and `queue_order` say who is next, `queue_drawing` has it drawn, `queue_entry` and `queue_follow` tell what
happens, `queue_pace` guesses how long it takes, `queue_ledger` and `store_jobs` write it down.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace

from nutshell.errors import NutshellError, OutputError
from nutshell.language import Text, tr
from nutshell.service import store_jobs
from nutshell.service.gallery import Gallery, new_id
from nutshell.service.job import Event, Fault, Job, State
from nutshell.service.models import Models
from nutshell.service.options import ServiceOptions
from nutshell.service.queue_drawing import SEE_LOG, UNEXPECTED, Drawing, Outcome, fault_of
from nutshell.service.queue_entry import Entry, end_of, pictures_of
from nutshell.service.queue_follow import Mailbox
from nutshell.service.queue_intake import checked
from nutshell.service.queue_ledger import Ledger
from nutshell.service.queue_line import Line
from nutshell.service.store import Store
from nutshell.service.store_jobs import Record
from nutshell.service.wish import Wish
from nutshell.service.worker import Worker

_LOG = logging.getLogger(__name__)
MOST_ATTEMPTS = 2
MOST_INPUT_BYTES = 512_000_000  # pictures that wait with their jobs
_AGAIN_HINT = tr("try a smaller size or fewer steps, or another model")


class QueueFull(NutshellError):
    """More jobs wait than the service takes. retry_after_seconds: when one should be done."""

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(tr("the queue is full"), tr("try again in {seconds:.0f} seconds", seconds=retry_after_seconds))


class Stopping(QueueFull):
    """The service is being stopped and takes nothing any more."""

    def __init__(self) -> None:
        NutshellError.__init__(self, tr("the service is stopping"), tr("try again when it was started again"))
        self.retry_after_seconds = 10.0


class Queue:
    """Takes wishes, has the worker draw them one at a time, keeps what came of them.

    Jobs are handed out without the pictures that came with their wish (`image`, `mask`): these stay in the database.
    """

    def __init__(self, store: Store, gallery: Gallery, worker: Worker, options: ServiceOptions, models: Models) -> None:
        """Use `open`."""
        self._store, self._gallery, self._worker = store, gallery, worker
        self._options, self._models = options, models
        self._line = Line()
        self._entries = self._line.entries
        self._ledger = Ledger(store, self._entries)
        self._entering: set[asyncio.Task[Job]] = set()
        self._news = asyncio.Event()
        self._stopping = False
        self._on_end: list[Callable[[Job], None]] = []
        self._finishing: asyncio.Task[None] | None = None
        self._server: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, store: Store, gallery: Gallery, worker: Worker, options: ServiceOptions, models: Models
    ) -> Queue:
        """Take up what an earlier process left, and begin to draw.

        What ran when it ended runs once more; what had run twice has failed. Raises OutputError.
        """
        queue = cls(store, gallery, worker, options, models)
        await queue._restore()
        queue._server = asyncio.create_task(queue._serve(), name="queue")
        return queue

    # ---------------------------------------------------------------- asked from outside

    async def submit(self, wish: Wish, client: str) -> Job:
        """Check and queue a wish. Raises UsageError (with `field`), ModelNotFound, QueueFull, OutputError."""
        if self._stopping:
            raise Stopping
        if self.waiting + len(self._entering) >= self._options.queue:
            raise QueueFull(self._retry_after())
        # Whoever hangs up now leaves either a whole job or none.
        entering = asyncio.create_task(self._submit(wish, client))
        self._entering.add(entering)
        entering.add_done_callback(self._entering.discard)
        return await asyncio.shield(entering)

    async def get(self, id: str) -> Job | None:
        """The job of that id."""
        return await self._ledger.get(id)

    async def page(
        self, *, before: int | None = None, limit: int = 50, states: Collection[State] | None = None
    ) -> list[Job]:
        """Newest first: those numbered less than `before`."""
        return await self._ledger.page(before, limit, states)

    async def cancel(self, id: str) -> Job | None:
        """Stop a job within one step; pictures that are done stay. A job that has ended stays as it is."""
        entry = self._entries.get(id)
        if entry is None:
            return await self.get(id)
        if not entry.ending:
            entry.ending = True
            drawing = self._line.drawing
            if drawing is not None and entry in drawing.members:
                drawing.leave(entry)
                await drawing.stored()
            await self._end(entry, "cancelled")
        await entry.ended.wait()
        return entry.job

    async def follow(self, id: str) -> AsyncIterator[Event]:
        """What happens to a job from now on, its present state first. Ends after done, failed or cancelled.

        The present state is: an event for each picture that is done, then the latest queued, loading, step and
        preview. A reader that is slow misses steps and previews, no picture and no end. Ends early where the service
        stops, and at once for an id that is not known.
        """
        entry = self._entries.get(id)
        if entry is None:
            job = await self.get(id)
            if job is not None and job.ended:
                for event in (*pictures_of(job), end_of(job)):
                    yield event
            return
        self._line.tell(entry)
        mailbox = Mailbox()
        for event in entry.present():
            mailbox.put(event)
        entry.readers.add(mailbox)
        if self._stopping:
            mailbox.close()
        try:
            while True:
                happened = await mailbox.get()
                if happened is None:
                    return
                yield happened
        finally:
            entry.readers.discard(mailbox)

    async def wait(self, id: str) -> Job:
        """The job once it has ended. Raises KeyError for an id that is not known, Stopping when the service stops."""
        entry = self._entries.get(id)
        if entry is not None:
            await entry.ended.wait()
            if not entry.job.ended:
                raise Stopping
            return entry.job
        job = await self.get(id)
        if job is None:
            raise KeyError(id)
        return job

    def position(self, id: str) -> int:
        """How many jobs are served before this one; 0 for the one that runs, and for one that has ended."""
        return self._line.position(id)

    @property
    def waiting(self) -> int:
        """How many jobs are queued, the one that runs not counted."""
        return self._line.waiting

    @property
    def running(self) -> str | None:
        """The id of the job that is drawn now."""
        return self._line.running

    def on_end(self, tell: Callable[[Job], None]) -> None:
        """Have `tell` called with each job when it has ended."""
        self._on_end.append(tell)

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """Take nothing more, stop after the present step, queue what ran again, end the worker.

        A job that is stopped so is drawn first when the service starts again; this attempt does not count. The store
        is left open, for its owner to close.
        """
        self._stopping = True
        self._news.set()
        self._worker.cancel()
        if self._server is not None:
            done, _ = await asyncio.wait({self._server}, timeout=grace_seconds)
            if not done:
                # The worker is ended below whether it answers or not.
                self._server.cancel()
                await asyncio.wait({self._server})
                if self._line.drawing is not None:
                    await self._line.drawing.stored()
                    await self._put_back(self._line.drawing)
        others = {*self._entering, *filter(None, (self._finishing,))}
        if others:
            await asyncio.wait(others)
        await self._ledger.save([])
        for entry in list(self._entries.values()):
            entry.close()
            entry.ended.set()
        await self._worker.close(grace_seconds)

    # ---------------------------------------------------------------- taking in

    async def _submit(self, wish: Wish, client: str) -> Job:
        wish, share = await asyncio.to_thread(checked, wish, self._models, self._options.limits)
        bare = replace(wish, image=None, mask=None)
        record = Record(Job(0, new_id(), client, "queued", bare, time.time()), share=share)

        def write(database: sqlite3.Connection) -> Record:
            coming = len(wish.image or b"") + len(wish.mask or b"")
            if coming and store_jobs.input_bytes(database) + coming > MOST_INPUT_BYTES:
                raise QueueFull(self._retry_after())
            return store_jobs.insert(database, record, wish)

        entry = Entry(await self._store.do(write, durable=True))
        self._entries[entry.job.id] = entry
        drawing = self._line.drawing
        if drawing is not None and drawing.open and share and drawing.share == share and not self._stopping:
            drawing.join(entry)
            await self._begin([entry])
        else:
            self._line.moved()
            self._line.tell()
        self._news.set()
        return entry.job

    def _retry_after(self) -> float:
        """Until a place in the queue should be free."""
        return max(1.0, self._line.seconds_left() or self._line.pace.usual_seconds)

    # ---------------------------------------------------------------- drawing

    async def _serve(self) -> None:
        while not self._stopping:
            order = self._line.order()
            if not order:
                self._news.clear()
                await self._news.wait()
                continue
            try:
                await self._draw(order[0])
            except Exception:  # noqa: BLE001 (logged; one job may fail of an error of ours, the queue may not)
                _LOG.exception("the queue failed in a way that it should not")
                await self._end_all(order[0], "failed", Fault("NutshellError", UNEXPECTED, SEE_LOG))
                self._line.drawing = None

    async def _draw(self, members: Sequence[Entry]) -> None:
        # One may have joined an earlier attempt later than another.
        most = max((entry.job.pictures for entry in members), key=len)
        for entry in members:
            entry.change(pictures=most)
        job = members[0].job
        drawing = Drawing(job.id, list(members), self._worker, self._gallery, self._ledger.save, most)
        self._line.drawing = drawing
        self._line.next_turn()
        await self._begin(members)
        started = time.monotonic()
        try:
            wish = await self._ledger.wish(job)
        except OutputError as error:
            outcome = Outcome(fault_of(error))
        else:
            # A cancel that came before the worker was at work went unheard.
            idle = self._stopping or not drawing.members
            leaner = any(entry.record.leaner for entry in members)
            outcome = Outcome(stopped=True) if idle else await drawing.run(wish, leaner=leaner)
        await self._settle(drawing, outcome, time.monotonic() - started)
        self._line.drawing = None
        self._line.moved()

    async def _begin(self, members: Sequence[Entry]) -> None:
        """They are served now."""
        turn = self._line.serve(entry.job.client for entry in members)
        for entry in members:
            job = entry.job
            entry.record = replace(entry.record, front=True, turn=turn)
            entry.change(state="running", started=job.started or time.time(), attempts=job.attempts + 1)
            entry.told = None
            note = job.notes[-1] if job.notes else None
            entry.publish(Event("queued", "", seconds_left=self._line.pace.seconds(job.wish), note=note))
        self._line.moved()
        await self._ledger.save([entry.record for entry in members])

    async def _settle(self, drawing: Drawing, outcome: Outcome, seconds: float) -> None:
        if self._finishing is not None:
            await asyncio.wait({self._finishing})
        if outcome == Outcome():
            # The next is drawn while these pictures go to the disk.
            members = [entry for entry in drawing.members if not entry.ending]
            for entry in members:
                entry.ending = True
            self._finishing = asyncio.create_task(self._finish(drawing, members, seconds))
            return
        fault = await drawing.stored() or outcome.fault
        members = list(drawing.members)
        if fault is not None:
            await self._end_all(members, "failed", fault)
        elif self._stopping:
            await self._put_back(drawing)
        elif outcome.died is not None:
            await self._retry(members, outcome.died)
        else:
            # Whoever cancelled has left before; these did not ask for it.
            await self._retry(members, tr("it stopped by itself"))

    async def _finish(self, drawing: Drawing, members: Sequence[Entry], seconds: float) -> None:
        """All was drawn."""
        fault = await drawing.stored()
        for entry in members:
            if fault is None and len(entry.job.pictures) < entry.job.wish.count:
                fault = Fault("EngineError", tr("the worker did not draw all pictures"), _AGAIN_HINT)
        if fault is None and members and not drawing.resumed and not drawing.loaded:
            self._line.pace.learn(members[0].job.wish, seconds)
            for entry in members:
                entry.record = replace(entry.record, seconds=seconds)
        for entry in members:
            await self._end(entry, "done" if fault is None else "failed", fault)

    async def _retry(self, members: Sequence[Entry], reason: Text) -> None:
        """The worker died of them: once more with a leaner plan, then never again."""
        again = []
        for entry in members:
            if entry.job.attempts >= MOST_ATTEMPTS:
                fault = Fault("WorkerDied", tr("the worker process failed twice: {reason}", reason=reason), _AGAIN_HINT)
                await self._end_all([entry], "failed", fault)
                continue
            note = tr("the worker process failed ({reason}); it is drawn again with less memory", reason=reason)
            entry.record = replace(entry.record, leaner=True)
            entry.change(state="queued", notes=(*entry.job.notes, note))
            entry.publish(Event("queued", "", note=note))
            again.append(entry.record)
        await self._ledger.save(again)

    async def _put_back(self, drawing: Drawing) -> None:
        """The service stops: the attempt was not the job's fault and does not count."""
        for entry in drawing.members:
            entry.change(state="queued", attempts=entry.job.attempts - 1)
        await self._ledger.save([entry.record for entry in drawing.members])

    async def _end_all(self, members: Sequence[Entry], state: State, fault: Fault | None = None) -> None:
        for entry in members:
            if not entry.ending:
                entry.ending = True
                await self._end(entry, state, fault)

    async def _end(self, entry: Entry, state: State, fault: Fault | None = None) -> None:
        """Write down, then tell: who was told of an end finds it so after a crash too."""
        job = replace(entry.job, state=state, fault=fault, finished=time.time())
        await self._ledger.save([replace(entry.record, job=job)])
        entry.change(state=state, fault=fault, finished=job.finished)
        del self._entries[job.id]
        entry.publish(end_of(entry.job))
        entry.ended.set()
        for tell in self._on_end:
            tell(entry.job)
        self._line.moved()
        await self._ledger.count_end()

    async def _restore(self) -> None:
        records, served = await self._ledger.active()
        self._line.remember(served)
        for wish, seconds in await self._ledger.drawn():
            self._line.pace.learn(wish, seconds)
        changed = []
        for record in records:
            entry = Entry(record)
            if record.job.state == "running":
                _revive(entry)
                changed.append(entry.record)
            if not entry.job.ended:
                self._entries[entry.job.id] = entry
        await self._ledger.save(changed)
        await self._ledger.prune()
        self._line.moved()


def _revive(entry: Entry) -> None:
    """A job that ran when the service ended: once more, but a job that ends the service each time does so twice."""
    if entry.job.attempts >= MOST_ATTEMPTS:
        fault = Fault("WorkerDied", tr("the service ended twice while it drew this"), _AGAIN_HINT)
        entry.change(state="failed", fault=fault, finished=time.time())
    else:
        note = tr("the service had ended while it drew this; it is drawn again")
        entry.change(state="queued", notes=(*entry.job.notes, note))
