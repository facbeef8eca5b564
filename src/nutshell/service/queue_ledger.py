"""What the queue writes down. A disk that is full for a while stops nothing: memory knows better until it is not."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from nutshell.errors import OutputError
from nutshell.service import store_jobs
from nutshell.service.job import Job, State
from nutshell.service.queue_entry import Entry
from nutshell.service.store import Store
from nutshell.service.store_jobs import Record
from nutshell.service.wish import Wish

_LOG = logging.getLogger(__name__)
MOST_ENDED = 10_000  # jobs that are remembered
_PRUNE_EVERY = 100  # jobs


class Ledger:
    """Jobs in the database, and those that it does not have as they are."""

    def __init__(self, store: Store, entries: Mapping[str, Entry]) -> None:
        """entries: the jobs that have not ended, by id."""
        self._store = store
        self._entries = entries
        self._unsaved: dict[str, Record] = {}
        self._ended = 0

    async def save(self, records: Sequence[Record]) -> None:
        """Write, with all that could not be written before."""
        self._unsaved.update({record.job.id: record for record in records})
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
        for id, record in writing.items():
            if self._unsaved.get(id) is record:
                del self._unsaved[id]

    async def get(self, id: str) -> Job | None:
        """The job of that id."""
        return self._here(id) or await self._store.do(lambda database: store_jobs.get(database, id))

    async def page(self, before: int | None, limit: int, states: Collection[State] | None) -> list[Job]:
        """Newest first, those numbered less than `before`."""
        jobs = await self._store.do(lambda database: store_jobs.page(database, before, limit, states))
        jobs = [self._here(job.id) or job for job in jobs]
        return [job for job in jobs if states is None or job.state in states]

    async def wish(self, job: Job) -> Wish:
        """The job's wish with its pictures. Raises OutputError."""
        return await self._store.do(lambda database: store_jobs.with_inputs(database, job))

    async def drawn(self) -> list[tuple[Wish, float]]:
        """What was drawn lately and in how many seconds."""
        return await self._store.do(store_jobs.drawn)

    async def active(self) -> tuple[list[Record], dict[str, int]]:
        """Jobs that have not ended, and when each client was served last."""
        return await self._store.do(lambda database: (store_jobs.active(database), store_jobs.turns(database)))

    async def count_end(self) -> None:
        """One more has ended: the oldest are forgotten now and then."""
        self._ended += 1
        if self._ended % _PRUNE_EVERY == 0:
            await self.prune()

    async def prune(self) -> None:
        """Forget the oldest that have ended."""
        try:
            await self._store.do(lambda database: store_jobs.prune(database, MOST_ENDED))
        except OutputError as error:
            _LOG.error("old jobs could not be removed: %s", error)

    def _here(self, id: str) -> Job | None:
        """What memory knows better than the database."""
        known = self._entries.get(id) or self._unsaved.get(id)
        return None if known is None else known.job
