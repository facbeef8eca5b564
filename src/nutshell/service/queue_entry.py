"""A job that has not ended, as the queue holds it in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from nutshell.language import Text
from nutshell.service.job import Event, Job
from nutshell.service.queue_follow import Mailbox
from nutshell.service.store_jobs import Record


@dataclass(eq=False)
class Entry:
    """The job's record and those who follow it.

    ending: somebody is about to end it, so nobody else does. told: the position and note that were told last.
    now, preview: what a reader who comes late has to know.
    """

    record: Record
    readers: set[Mailbox] = field(default_factory=set)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ending: bool = False
    told: tuple[int, Text | None] | None = None
    now: Event | None = None
    preview: Event | None = None

    @property
    def job(self) -> Job:
        return self.record.job

    def change(self, **values: Any) -> None:
        """Change fields of the job."""
        self.record = replace(self.record, job=replace(self.job, **values))

    def publish(self, event: Event) -> None:
        """Tell all who follow, now and later."""
        event = self.remember(event)
        for reader in self.readers:
            reader.put(event)

    def remember(self, event: Event) -> Event:
        """For those who come later. The event comes back with what it says of this job."""
        event = replace(event, job=self.job.id, pictures=self.job.wish.count)
        if event.kind == "preview":
            self.preview = event
        elif event.kind in ("queued", "loading", "step"):
            self.now = event
            if event.kind == "queued":
                self.preview = None
        return event

    def present(self) -> Iterator[Event]:
        """What a new reader is told first."""
        yield from pictures_of(self.job)
        for event in (self.now, self.preview):
            if event is not None:
                yield event

    def close(self) -> None:
        """Send all readers away: the service stops."""
        for reader in self.readers:
            reader.close()


def pictures_of(job: Job) -> Iterator[Event]:
    """An event for each picture that is done."""
    for place, id in enumerate(job.pictures, 1):
        yield Event("picture", job.id, picture=place, pictures=job.wish.count, picture_id=id)


def end_of(job: Job) -> Event:
    """The last event of a job that has ended."""
    assert job.state in ("done", "failed", "cancelled")
    return Event(job.state, job.id, picture=len(job.pictures), pictures=job.wish.count, fault=job.fault)
