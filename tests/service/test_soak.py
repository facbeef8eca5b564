"""The whole service under load: nothing lost, nothing twice, no growth, whatever is killed.

Short by themselves. NUTSHELL_SOAK=60, which test.sh sets, has 200 clients draw for 60 s with the built-in model, and
kills a hundred times.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nutshell.service.gallery import picture_id
from tests.cli.conftest import REAL
from tests.service.soaking import Soak

SECONDS = float(os.environ.get("NUTSHELL_SOAK", "0"))
CLIENTS = 200 if SECONDS else 8
MOST_GROWTH = 1.05

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")


def nothing_is_lost_or_twice(soak: Soak, jobs: dict[str, dict[str, Any]]) -> None:
    """What was promised has ended, and the gallery holds just the pictures that the jobs name.

    Or that a job which was given up would have named: killed for the second time between a picture's file and its
    line in the database, the file is taken into the gallery and nobody draws it again.
    """
    assert set(soak.accepted) <= set(jobs)
    for id, count in soak.accepted.items():
        job = jobs[id]
        if job["state"] == "failed":
            # Killed under it twice: told so, not lost.
            assert (job["error"]["type"], job["attempts"]) == ("worker_died", 2), job
        else:
            assert (job["state"], len(job["pictures"])) == ("done", count), job
    named = Counter(id_of(picture) for job in jobs.values() for picture in job["pictures"])
    assert set(named.values()) <= {1}
    there = soak.pictures_on_disk()
    assert len(set(there)) == len(there)
    assert set(named) <= set(there)
    given_up = {
        picture_id(id, len(job["pictures"]) + 1) for id, job in jobs.items() if job["state"] == "failed"
    }  # fmt: skip
    assert set(there) - set(named) <= given_up


def id_of(picture: Any) -> str:
    """A job names its pictures by id, or with links."""
    return str(picture["id"] if isinstance(picture, dict) else picture)


async def all_ended(soak: Soak) -> dict[str, dict[str, Any]]:
    """Those too that a client never heard of: it was killed between the job and the answer."""
    for id, job in (await soak.jobs()).items():
        if job["state"] in ("queued", "running"):
            await soak.ended(id)
    return await soak.jobs()


def test_many_clients_at_once(tmp_path: Path) -> None:
    async def whole() -> None:
        model = Soak(tmp_path, REAL, ("--model", "artist")) if SECONDS else Soak(tmp_path)
        async with model as soak:
            until = asyncio.Event()
            wish = {"steps": 1} if SECONDS else {"steps": 2, "count": 2}
            clients = [asyncio.create_task(soak.client(number, until, **wish)) for number in range(CLIENTS)]
            await asyncio.sleep(SECONDS or 2)
            until.set()
            await asyncio.gather(*clients)
            jobs = await soak.jobs()
            assert set(jobs) == set(soak.accepted)
            assert {job["state"] for job in jobs.values()} == {"done"}
            assert len(jobs) >= CLIENTS
            nothing_is_lost_or_twice(soak, jobs)

    asyncio.run(whole())


def test_memory_does_not_grow(tmp_path: Path) -> None:
    warm, pictures = (200, 1000) if SECONDS else (60, 240)

    async def drawn(soak: Soak, first: int, count: int) -> None:
        left = iter(range(first, first + count))

        async def client() -> None:
            for seed in left:
                id = await soak.ask(prompt="a cat", width=64, height=64, steps=1, seed=seed)
                assert id is not None
                await soak.ended(id)

        await asyncio.gather(*(client() for _ in range(4)))

    async def whole() -> None:
        async with Soak(tmp_path) as soak:
            await drawn(soak, 0, warm)
            web, worker = soak.web_bytes, soak.worker_bytes
            await drawn(soak, 1000, pictures)
            assert soak.web_bytes < MOST_GROWTH * web
            assert soak.worker_bytes < MOST_GROWTH * worker

    asyncio.run(whole())


def test_whatever_is_killed_nothing_is_lost(tmp_path: Path) -> None:
    kills, chance = 100 if SECONDS else 5, random.Random(5)

    async def whole() -> None:
        async with Soak(tmp_path) as soak:
            until = asyncio.Event()
            wish = {"words": "slow", "steps": 2, "count": 2}
            clients = [asyncio.create_task(soak.client(number, until, **wish)) for number in range(4)]
            killed = 0
            while killed < kills:
                await asyncio.sleep(chance.uniform(0.05, 1.0))
                if chance.random() < 0.5:
                    killed += soak.kill_worker()
                else:
                    await soak.kill()
                    killed += 1
                    await soak.start()
            until.set()
            await asyncio.gather(*clients)
            jobs = await all_ended(soak)
            nothing_is_lost_or_twice(soak, jobs)
            assert any(job["state"] == "done" for job in jobs.values())
            await soak.stop()

    asyncio.run(whole())
