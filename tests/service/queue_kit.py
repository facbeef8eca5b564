"""A real queue over a real store and gallery, with workers that do as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from nutshell.errors import Cancelled
from nutshell.language import tr
from nutshell.pipeline.parameters import encoded
from nutshell.service.gallery import Gallery
from nutshell.service.job import Event, Job
from nutshell.service.options import ServiceOptions
from nutshell.service.queue import Queue
from nutshell.service.store import Store
from nutshell.service.wish import Wish
from nutshell.service.worker import Drawn, Loading, Step, Told
from tests.service.toy_models import ToyModels

PATIENCE = 20.0  # seconds, far more than anything here takes


def wish(prompt: str = "a red apple", **values: Any) -> Wish:
    return Wish(prompt, **{"model": "artist", "width": 64, "height": 64, **values})


def png(seed: int = 0, side: int = 64, noisy: bool = False, **parameters: Any) -> bytes:
    """A picture of ours. noisy: one that hardly gets smaller as a PNG: 3 bytes a pixel."""
    image = Image.effect_noise((side, side), 200).convert("RGB") if noisy else Image.new("RGB", (side, side))
    return encoded(image, {"prompt": "a red apple", "steps": 4, "seed": seed, **parameters})


@dataclass
class Kit:
    """All that belongs to one queue."""

    store: Store
    gallery: Gallery
    queue: Queue
    worker: Any

    async def events(self, id: str) -> list[Event]:
        """All until the end."""
        return [event async for event in self.queue.follow(id)]

    async def done(self, *jobs: Job) -> list[Job]:
        return [await within(self.queue.wait(job.id)) for job in jobs]


@contextlib.asynccontextmanager
async def opened(folder: Path | None, worker: Any, **options: Any) -> AsyncIterator[Kit]:
    """folder: None for amnesia."""
    chosen = replace(ServiceOptions(folder or Path("nowhere"), "artist"), **options)
    store = Store.open(None if folder is None else folder / "jobs.sqlite")
    try:
        gallery = Gallery.open(store, None if folder is None else folder / "gallery", chosen.gallery_bytes)
        queue = await Queue.open(store, gallery, worker, chosen, ToyModels())
        try:
            yield Kit(store, gallery, queue, worker)
        finally:
            await queue.stop()
    finally:
        store.close()


async def within(awaited: Awaitable[Any]) -> Any:
    """Fail rather than hang."""
    return await asyncio.wait_for(awaited, PATIENCE)


async def until(holds: Callable[[], Any]) -> None:
    """Wait for what is about to become true; fail when it does not."""

    async def watch() -> None:
        while not holds():
            await asyncio.sleep(0.001)

    await within(watch())


class Puppet:
    """A worker that goes on only when it is told how: `picture`, `step`, `finish`, or an exception to be raised."""

    memory_bytes = 0

    def __init__(self) -> None:
        self.drawn: list[tuple[Wish, bool]] = []
        self.loaded: str | None = None
        self.closed = False
        self._orders: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.at_work = False

    def order(self, *orders: str | Exception) -> None:
        for order in orders:
            self._orders.put_nowait(order)

    async def draw(self, wish: Wish, tell: Callable[[Told], None], *, leaner: bool = False) -> None:
        self.drawn.append((wish, leaner))
        self._orders = asyncio.Queue()
        self.at_work, self.loaded, place, step = True, wish.model, 0, 0
        tell(Loading(wish.model))
        try:
            while place < wish.count:
                order = await self._orders.get()
                if isinstance(order, Exception):
                    raise order
                if order == "step":
                    step += 1
                    tell(Step(step, 4, place + 1, wish.count, 1.5, b"preview" if wish.previews else b""))
                else:
                    for number in range(place, wish.count if order == "finish" else place + 1):
                        seed = (wish.seed or 0) + number
                        tell(
                            Drawn(number + 1, png(seed, 16, prompt=wish.prompt), {"seed": seed, "prompt": wish.prompt})
                        )
                        place = number + 1
        finally:
            self.at_work = False

    def cancel(self) -> None:
        if self.at_work:
            self._orders.put_nowait(Cancelled(tr("stopped")))

    async def unload(self) -> None:
        self.loaded = None

    async def close(self, grace_seconds: float = 10.0) -> None:
        self.closed = True


def pixels(data: bytes) -> tuple[int, int]:
    """The size of a picture that is whole."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.size
