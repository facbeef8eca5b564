"""One life of a service in a process of its own, to be ended by SIGKILL at any moment."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from multiprocessing.connection import Connection
from pathlib import Path

from nutshell.errors import OutputError
from nutshell.language import tr
from nutshell.service.queue import QueueFull
from nutshell.service.worker import WorkerDied
from tests.service.queue_kit import Kit, opened, wish
from tests.service.toy import ToyWorker

CLIENTS = ("a", "b", "c")


def live(folder: Path, life: int, ready: Connection) -> None:
    """Submit and draw without end. What was accepted is noted in `folder`/accepted, one line each."""
    asyncio.run(_live(folder, life, ready))


def drain(folder: Path) -> None:
    """Draw all that is left, then end in order."""
    asyncio.run(_drain(folder))


async def _live(folder: Path, life: int, ready: Connection) -> None:
    worker = ToyWorker(step_seconds=0.001)
    async with opened(folder, worker, queue=12) as kit:
        note = os.open(folder / "accepted", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        ready.send("ready")
        await asyncio.gather(*(_ask(kit, client, life, note) for client in CLIENTS), _sabotage(worker, life))


async def _ask(kit: Kit, client: str, life: int, note: int) -> None:
    chance = random.Random(f"{client} {life}")
    for number in itertools.count():
        # Every fifth prompt is asked for by all three, with the same seed: they may share.
        shared = number % 5 == 0
        prompt = f"{life} {number}" if shared else f"{life} {number} {client}"
        count = 2 if shared else chance.randrange(1, 4)
        try:
            job = await kit.queue.submit(wish(prompt, count=count, steps=2, seed=9 if shared else None), client)
        except QueueFull:
            await asyncio.sleep(0.002)
            continue
        # One write: it is there whole or not at all.
        os.write(note, f"{job.id}\n".encode())
        if chance.random() < 0.1:
            await kit.queue.cancel(job.id)


async def _sabotage(worker: ToyWorker, life: int) -> None:
    chance = random.Random(life)
    while True:
        await asyncio.sleep(chance.uniform(0.01, 0.1))
        worker.faults[:] = [chance.choice([WorkerDied(tr("was killed")), OutputError(tr("the disk is full"))])]


async def _drain(folder: Path) -> None:
    async with opened(folder, ToyWorker()) as kit:
        for job in await kit.queue.page(limit=100_000, states=("queued", "running")):
            await kit.queue.wait(job.id)
