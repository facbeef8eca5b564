"""The queue of jobs: what all faces share. All coroutines run on one event loop.

    submit -> store (SQLite) -> fair order -> drawing (worker -> gallery) -> done
                                                `- events -> followers

`queue_order` says who is next, `queue_drawing` has it drawn, `queue_entry` and `queue_follow` tell what happens,
`queue_pace` guesses how long it takes, `store_jobs` writes it down.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import secrets
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
from nutshell.service.queue_order import fair_order
from nutshell.service.queue_pace import Pace
from nutshell.service.store import Store
from nutshell.service.store_jobs import Record
from nutshell.service.wish import Wish
from nutshell.service.worker import Worker

_LOG = logging.getLogger(__name__)
MOST_ATTEMPTS = 2
MOST_ENDED = 10_000  # jobs that are remembered
MOST_CLIENTS = 10_000  # whose turns are remembered
MOST_INPUT_BYTES = 512_000_000  # pictures that wait with their jobs
_PRUNE_EVERY = 100  # jobs
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
        self._entries: dict[str, Entry] = {}
        self._unsaved: dict[int, Record] = {}
        self._entering: set[asyncio.Task[Job]] = set()
        self._served: dict[str, int] = {}
        self._turn = 0
        self._pace = Pace()
        self._drawing: Drawing | None = None
        self._order: list[list[Entry]] | None = None
        self._places: dict[str, int] = {}
        self._telling = False
        self._news = asyncio.Event()
        self._stopping = False
        self._ended_count = 0
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
        here = self._here().get(id)
        return here or await self._store.do(lambda database: store_jobs.get(database, id))

    async def page(
        self, *, before: int | None = None, limit: int = 50, states: Collection[State] | None = None
    ) -> list[Job]:
        """Newest first: those numbered less than `before`."""
        jobs = await self._store.do(lambda database: store_jobs.page(database, before, limit, states))
        here = self._here()
        jobs = [here.get(job.id, job) for job in jobs]
        return [job for job in jobs if states is None or job.state in states]

    async def cancel(self, id: str) -> Job | None:
        """Stop a job within one step; pictures that are done stay. A job that has ended stays as it is."""
        entry = self._entries.get(id)
        if entry is None:
            return await self.get(id)
        if not entry.ending:
            entry.ending = True
            drawing = self._drawing
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
        self._tell_positions(entry)
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
        self._ordered()
        return self._places.get(id, 0)

    @property
    def waiting(self) -> int:
        """How many jobs are queued, the one that runs not counted."""
        return sum(entry.job.state == "queued" for entry in self._entries.values())

    @property
    def running(self) -> str | None:
        """The id of the job that is drawn now."""
        drawing = self._drawing
        return drawing.members[0].job.id if drawing is not None and drawing.members else None

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
                if self._drawing is not None:
                    await self._drawing.stored()
                    await self._put_back(self._drawing)
        others = {*self._entering, *filter(None, (self._finishing,))}
        if others:
            await asyncio.wait(others)
        await self._save([])
        for entry in list(self._entries.values()):
            entry.close()
            entry.ended.set()
        await self._worker.close(grace_seconds)

    # ---------------------------------------------------------------- taking in

    async def _submit(self, wish: Wish, client: str) -> Job:
        wish, share = await asyncio.to_thread(self._checked, wish)
        bare = replace(wish, image=None, mask=None)
        record = Record(Job(0, new_id(), client, "queued", bare, time.time()), share=share)

        def write(database: sqlite3.Connection) -> Record:
            coming = len(wish.image or b"") + len(wish.mask or b"")
            if coming and store_jobs.input_bytes(database) + coming > MOST_INPUT_BYTES:
                raise QueueFull(self._retry_after())
            return store_jobs.insert(database, record, wish)

        entry = Entry(await self._store.do(write, durable=True))
        self._entries[entry.job.id] = entry
        drawing = self._drawing
        if drawing is not None and drawing.open and share and drawing.share == share and not self._stopping:
            drawing.join(entry)
            await self._begin([entry])
        else:
            self._moved()
            self._tell_positions()
        self._news.set()
        return entry.job

    def _checked(self, wish: Wish) -> tuple[Wish, str]:
        """The wish with its model and seed settled, and what it shares a drawing by."""
        wish = replace(wish, model=self._models.resolve(wish.model))
        wish.check(self._options.limits)
        if (wish.width is None) != (wish.height is None):
            self._both_sides(wish).check(self._options.limits)
        if wish.seed is None:
            return wish.with_seed(secrets.randbelow(2**32)), ""
        return wish, _share(wish)

    def _both_sides(self, wish: Wish) -> Wish:
        """One side was given; the other is the model's, or as long where that is not known."""
        row = next((row for row in self._models.rows() if row.name == wish.model), None)
        width = wish.width or (row.width if row else wish.height)
        return replace(wish, width=width, height=wish.height or (row.height if row else width))

    def _retry_after(self) -> float:
        """Until a place in the queue should be free."""
        return max(1.0, self._seconds_left_running() or self._pace.usual_seconds)

    # ---------------------------------------------------------------- order and positions

    def _moved(self) -> None:
        """The order is another; those who wait are told, once for all changes of one turn of the event loop."""
        self._order = None
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._tell_positions)

    def _ordered(self) -> list[list[Entry]]:
        if self._order is None:
            waiting = [e for e in self._entries.values() if e.job.state == "queued" and not e.ending]
            groups = fair_order([entry.record for entry in waiting], self._served)
            self._order = [[self._entries[record.job.id] for record in group] for group in groups]
            first = 1 if self.running else 0
            self._places = {e.job.id: place for place, group in enumerate(self._order, first) for e in group}
        return self._order

    def _tell_positions(self, asking: Entry | None = None) -> None:
        """Tell those whose position or note is another; bring up to date what `asking` is about to read."""
        self._telling = False
        seconds: float | None = self._seconds_left_running() if self.running else 0.0
        for group in self._ordered():
            own = self._pace.seconds(group[0].job.wish)
            seconds = None if seconds is None or own is None else seconds + own
            for entry in group:
                note = entry.job.notes[-1] if entry.job.notes else None
                place = self._places[entry.job.id]
                event = Event("queued", "", position=place, seconds_left=seconds, note=note)
                if entry.told != (place, note):
                    entry.told = place, note
                    entry.publish(event)
                elif entry is asking:
                    entry.remember(event)

    def _seconds_left_running(self) -> float | None:
        drawing = self._drawing
        if drawing is None or not drawing.members:
            return None
        if drawing.left is None:
            return self._pace.seconds(drawing.members[0].job.wish)
        left, at = drawing.left
        return max(0.0, left - (time.monotonic() - at))

    # ---------------------------------------------------------------- drawing

    async def _serve(self) -> None:
        while not self._stopping:
            order = self._ordered()
            if not order:
                self._news.clear()
                await self._news.wait()
                continue
            try:
                await self._draw(order[0])
            except Exception:  # noqa: BLE001 (logged; one job may fail of an error of ours, the queue may not)
                _LOG.exception("the queue failed in a way that it should not")
                await self._end_all(order[0], "failed", Fault("NutshellError", UNEXPECTED, SEE_LOG))
                self._drawing = None

    async def _draw(self, members: Sequence[Entry]) -> None:
        # One may have joined an earlier attempt later than another.
        most = max((entry.job.pictures for entry in members), key=len)
        for entry in members:
            entry.change(pictures=most)
        job = members[0].job
        drawing = Drawing(job.id, list(members), self._worker, self._gallery, self._save, most)
        self._drawing = drawing
        self._turn += 1
        await self._begin(members)
        started = time.monotonic()
        try:
            wish = await self._store.do(lambda database: store_jobs.with_inputs(database, job))
        except OutputError as error:
            outcome = Outcome(fault_of(error))
        else:
            # A cancel that came before the worker was at work went unheard.
            idle = self._stopping or not drawing.members
            leaner = any(entry.record.leaner for entry in members)
            outcome = Outcome(stopped=True) if idle else await drawing.run(wish, leaner=leaner)
        await self._settle(drawing, outcome, time.monotonic() - started)
        self._drawing = None
        self._moved()

    async def _begin(self, members: Sequence[Entry]) -> None:
        """They are served now."""
        for entry in members:
            job = entry.job
            self._served.pop(job.client, None)
            self._served[job.client] = self._turn
            entry.record = replace(entry.record, front=True, turn=self._turn)
            entry.change(state="running", started=job.started or time.time(), attempts=job.attempts + 1)
            entry.told = None
            note = job.notes[-1] if job.notes else None
            entry.publish(Event("queued", "", position=0, seconds_left=self._pace.seconds(job.wish), note=note))
        while len(self._served) > MOST_CLIENTS:
            # Whoever is forgotten counts as never served, which is next to longest ago.
            del self._served[next(iter(self._served))]
        self._moved()
        await self._save([entry.record for entry in members])

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
            self._pace.learn(members[0].job.wish, seconds)
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
        await self._save(again)

    async def _put_back(self, drawing: Drawing) -> None:
        """The service stops: the attempt was not the job's fault and does not count."""
        for entry in drawing.members:
            entry.change(state="queued", attempts=entry.job.attempts - 1)
        await self._save([entry.record for entry in drawing.members])

    async def _end_all(self, members: Sequence[Entry], state: State, fault: Fault | None = None) -> None:
        for entry in members:
            if not entry.ending:
                entry.ending = True
                await self._end(entry, state, fault)

    async def _end(self, entry: Entry, state: State, fault: Fault | None = None) -> None:
        """Write down, then tell: who was told of an end finds it so after a crash too."""
        job = replace(entry.job, state=state, fault=fault, finished=time.time())
        await self._save([replace(entry.record, job=job)])
        entry.change(state=state, fault=fault, finished=job.finished)
        del self._entries[job.id]
        entry.publish(end_of(entry.job))
        entry.ended.set()
        for tell in self._on_end:
            tell(entry.job)
        self._moved()
        self._ended_count += 1
        if self._ended_count % _PRUNE_EVERY == 0:
            with contextlib.suppress(OutputError):
                await self._store.do(lambda database: store_jobs.prune(database, MOST_ENDED))

    # ---------------------------------------------------------------- writing down

    async def _save(self, records: Sequence[Record]) -> None:
        """Write, with all that could not be written before. A full disk stops nothing: memory knows better."""
        self._unsaved.update({record.job.number: record for record in records})
        writing = dict(self._unsaved)
        if not writing:
            return

        def write(database: sqlite3.Connection) -> None:
            for record in writing.values():
                store_jobs.update(database, record)

        try:
            await self._store.do(write)
        except OutputError as error:
            _LOG.error("the list of jobs could not be written: %s", error)
            return
        for number, record in writing.items():
            if self._unsaved.get(number) is record:
                del self._unsaved[number]

    def _here(self) -> dict[str, Job]:
        """What memory knows better than the database."""
        unsaved = {record.job.id: record.job for record in self._unsaved.values()}
        return {**unsaved, **{id: entry.job for id, entry in self._entries.items()}}

    async def _restore(self) -> None:
        records = await self._store.do(store_jobs.active)
        self._served = await self._store.do(store_jobs.turns)
        self._turn = max(self._served.values(), default=0)
        for wish, seconds in await self._store.do(store_jobs.drawn):
            self._pace.learn(wish, seconds)
        changed = []
        for record in records:
            entry = Entry(record)
            if record.job.state == "running":
                _revive(entry)
                changed.append(entry.record)
            if not entry.job.ended:
                self._entries[entry.job.id] = entry
        await self._save(changed)
        with contextlib.suppress(OutputError):
            await self._store.do(lambda database: store_jobs.prune(database, MOST_ENDED))
        self._moved()


def _revive(entry: Entry) -> None:
    """A job that ran when the service ended: once more, but a job that ends the service each time does so twice."""
    if entry.job.attempts >= MOST_ATTEMPTS:
        fault = Fault("WorkerDied", tr("the service ended twice while it drew this"), _AGAIN_HINT)
        entry.change(state="failed", fault=fault, finished=time.time())
    else:
        note = tr("the service had ended while it drew this; it is drawn again")
        entry.change(state="queued", notes=(*entry.job.notes, note))


def _share(wish: Wish) -> str:
    """Equal for wishes that are equal in all, their pictures too."""
    digest = hashlib.sha256(json.dumps(wish.to_json(), sort_keys=True).encode())
    for data in (wish.image, wish.mask):
        digest.update(b"\0" if data is None else hashlib.sha256(data).digest())
    return digest.hexdigest()
