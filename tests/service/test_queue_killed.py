"""The whole service is killed at random moments: no job and no picture is lost, none is there twice."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.service import queue_life
from tests.service.queue_kit import opened, pixels, within
from tests.service.toy import ToyWorker

LIVES = 100 if int(os.environ.get("NUTSHELL_SOAK", "0")) else 20


@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or sys.platform == "win32", reason="there is no SIGKILL here")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    # Each life is forked from a process that has imported everything.
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.service.queue_life"])
    chance = random.Random(11)
    for life in range(LIVES):
        here, there = context.Pipe()
        process = context.Process(target=queue_life.live, args=(tmp_path, life, there), daemon=True)
        process.start()
        there.close()
        try:
            if chance.random() < 0.8:
                assert here.poll(60)
                assert here.recv() == "ready"
            time.sleep(chance.uniform(0, 0.25))
            assert process.is_alive()
        finally:
            process.kill()
            process.join(60)
            here.close()
        assert process.exitcode == -signal.SIGKILL
    last = context.Process(target=queue_life.drain, args=(tmp_path,))
    last.start()
    last.join(120)
    assert last.exitcode == 0
    asyncio.run(within(_check(tmp_path)))


async def _check(folder: Path) -> None:
    accepted = (folder / "accepted").read_text().split()
    assert len(accepted) > LIVES, "nothing was under way when it was killed"
    assert not list(folder.glob("*damaged*"))
    async with opened(folder, ToyWorker()) as kit:
        jobs = await kit.queue.page(limit=100_000)
        assert set(accepted) <= {job.id for job in jobs}, "a job was lost"
        assert len(jobs) <= len(accepted) + LIVES * len(queue_life.CLIENTS)
        assert len({job.id for job in jobs}) == len(jobs) == len(set(accepted) | {job.id for job in jobs})
        assert {job.state for job in jobs} <= {"done", "failed", "cancelled"}
        states = Counter(job.state for job in jobs)
        assert states["done"] > states["failed"]
        items = {item.id: item for item in kit.gallery.page(limit=1_000_000)}
        for job in jobs:
            if job.state == "failed":
                assert job.fault is not None
                assert job.fault.kind == "OutputError" or job.attempts == 2
            if job.state == "done":
                assert len(job.pictures) == job.wish.count
            assert job.wish.seed is not None
            seeds = [items[id].parameters["seed"] for id in job.pictures]
            assert seeds == [job.wish.seed + place for place in range(len(seeds))]
            assert {items[id].parameters["prompt"] for id in job.pictures} <= {job.wish.prompt}
        asked = Counter(job.wish.prompt for job in jobs)
        drawn = Counter((item.parameters["prompt"], item.parameters["seed"]) for item in items.values())
        for (prompt, seed), times in drawn.items():
            assert times <= asked[prompt], f"{prompt!r} with seed {seed} was drawn {times} times"
        assert len(list((folder / "gallery").rglob("*"))) == len(items) + 1, "a file without a row, or half a file"
        assert all(pixels(kit.gallery.read(id) or b"") == (64, 64) for id in items)
