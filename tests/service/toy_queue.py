"""A queue, a gallery and models in memory, for tests of the faces alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from io import BytesIO

from nutshell.errors import Cancelled, ModelNotFound, NutshellError
from nutshell.language import tr
from nutshell.service.gallery import Gallery, Item
from nutshell.service.job import Event, Fault, Job, State
from nutshell.service.models import ModelRow, Models
from nutshell.service.queue import Queue, QueueFull
from nutshell.service.wish import Limits, Wish
from nutshell.service.worker import Drawn, Loading, Step, Told, Worker


class ToyModels(Models):
    """Two models."""

    default = "artist"

    def rows(self) -> list[ModelRow]:
        return [
            ModelRow("artist", "An artist", True, 256, 256, 8, 4.0, "Apache-2.0", "well", 3.0, 300_000_000),
            ModelRow("castles", "Castles", True, 512, 512, 20, 7.5, "", "slowly", 90.0, 2_000_000_000),
        ]

    def resolve(self, name: str | None) -> str:
        if not name or name.startswith(("dall-e", "gpt-image")):
            return "artist"
        if name not in ("artist", "castles"):
            raise ModelNotFound(tr("there is no model named {name!r}", name=name), tr("see /api/models"))
        return name

    def plan(self, name: str, *, width: int | None = None, height: int | None = None, steps: int | None = None) -> Any:
        return {"model": self.resolve(name), "width": width or 256, "height": height or 256, "steps": steps or 8}


@dataclass
class ToyGallery(Gallery):
    kept: dict[str, tuple[Item, bytes]] = field(default_factory=dict)

    def add(self, job: str, png: bytes, parameters: dict[str, Any]) -> Item:
        number = len(self.kept) + 1
        width, height = Image.open(BytesIO(png)).size
        item = Item(number, f"pic{number}", job, time.time(), len(png), width, height, False, parameters)
        self.kept[item.id] = item, png
        return item

    def get(self, id: str) -> Item | None:
        return self.kept[id][0] if id in self.kept else None

    def page(self, *, before: int | None = None, limit: int = 50, favourites: bool = False) -> list[Item]:
        items = [item for item, _ in reversed(self.kept.values()) if item.favourite or not favourites]
        return [item for item in items if before is None or item.number < before][:limit]

    def read(self, id: str) -> bytes | None:
        return self.kept[id][1] if id in self.kept else None

    def favour(self, id: str, yes: bool) -> Item | None:
        if id not in self.kept:
            return None
        item, png = self.kept[id]
        self.kept[id] = replace(item, favourite=yes), png
        return self.kept[id][0]

    def remove(self, id: str) -> bool:
        return self.kept.pop(id, None) is not None


class ToyQueue(Queue):
    """One job after the other."""

    def __init__(self, worker: Worker, gallery: Gallery, limits: Limits, most: int = 100) -> None:
        self.worker, self.gallery, self.limits, self.most = worker, gallery, limits, most
        self.jobs: dict[str, Job] = {}
        self.last: dict[str, Event] = {}
        self.change = asyncio.Condition()
        self.current: str | None = None
        self.task: asyncio.Task[None] | None = None
        self.seen: dict[str, list[Event]] = {}

    async def submit(self, wish: Wish, client: str) -> Job:
        await asyncio.to_thread(wish.check, self.limits)
        if self.waiting >= self.most:
            raise QueueFull(7)
        number = len(self.jobs) + 1
        job = Job(number, f"job{number}", client, "queued", wish.with_seed(wish.seed or number), time.time())
        self.jobs[job.id] = job
        self.seen[job.id] = [Event("queued", job.id, self.position(job.id))]
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._work())
        return job

    async def _work(self) -> None:
        while job := next((job for job in self.jobs.values() if job.state == "queued"), None):
            self.current = job.id
            self.jobs[job.id] = replace(job, state="running", started=time.time(), attempts=1)
            kind, fault = "done", None
            try:
                await self.worker.draw(job.wish, lambda told, id=job.id: self._tell(id, told))
            except Cancelled:
                kind = "cancelled"
            except NutshellError as error:
                kind, fault = "failed", Fault(type(error).__name__, error.message, error.hint)
            self.current = None
            self.jobs[job.id] = replace(self.jobs[job.id], state=kind, finished=time.time(), fault=fault)
            self._say(Event(kind, job.id, fault=fault))

    def _tell(self, id: str, told: Told) -> None:
        if isinstance(told, Loading):
            self._say(Event("loading", id))
        elif isinstance(told, Step):
            kind = "preview" if told.preview else "step"
            self._say(Event(kind, id, 0, told.seconds_left, told.step, told.total, told.picture, told.pictures,
                            told.preview))  # fmt: skip
        elif isinstance(told, Drawn):
            item = self.gallery.add(id, told.png, told.parameters)
            job = self.jobs[id]
            self.jobs[id] = replace(job, pictures=(*job.pictures, item.id))
            self._say(Event("picture", id, picture=told.picture, pictures=job.wish.count, picture_id=item.id))

    def _say(self, event: Event) -> None:
        self.seen[event.job].append(event)

    async def get(self, id: str) -> Job | None:
        return self.jobs.get(id)

    async def page(
        self, *, before: int | None = None, limit: int = 50, states: Collection[State] | None = None
    ) -> list[Job]:
        jobs = [job for job in reversed(self.jobs.values()) if not states or job.state in states]
        return [job for job in jobs if before is None or job.number < before][:limit]

    async def cancel(self, id: str) -> Job | None:
        if id == self.current:
            self.worker.cancel()
        elif id in self.jobs and self.jobs[id].state == "queued":
            self.jobs[id] = replace(self.jobs[id], state="cancelled")
            self._say(Event("cancelled", id))
        return self.jobs.get(id)

    async def follow(self, id: str) -> AsyncIterator[Event]:
        at = len(self.seen[id]) - 1
        while True:
            while at >= len(self.seen[id]):
                await asyncio.sleep(0.001)
            event = self.seen[id][at]
            at += 1
            yield event
            if event.kind in ("done", "failed", "cancelled"):
                return

    async def wait(self, id: str) -> Job:
        while not self.jobs[id].ended:
            await asyncio.sleep(0.001)
        return self.jobs[id]

    def position(self, id: str) -> int:
        waiting = [job.id for job in self.jobs.values() if not job.ended]
        return waiting.index(id) if id in waiting else 0

    @property
    def waiting(self) -> int:
        return sum(job.state == "queued" for job in self.jobs.values())

    @property
    def running(self) -> str | None:
        return self.current
