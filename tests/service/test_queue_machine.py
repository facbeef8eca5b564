"""Whatever is asked of the queue in whatever order, it does as a simple model of it says."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nutshell.errors import EngineError
from nutshell.language import tr
from nutshell.service.queue import MOST_ATTEMPTS, QueueFull
from nutshell.service.worker import WorkerDied
from tests.service.queue_kit import Kit, Puppet, opened, wish, within

CAP = 5
SOAK = int(os.environ.get("NUTSHELL_SOAK", "0"))


@dataclass
class Sketch:
    """A job as the model has it. kept: whether its seed was given, so that it may share."""

    number: int
    client: str
    seed: int | None
    count: int
    id: str = ""
    state: str = "queued"
    attempts: int = 0
    pictures: int = 0
    leaner: bool = False
    turn: int = 0

    def shares(self, other: Sketch) -> bool:
        return self is other or (self.seed is not None and (self.seed, self.count) == (other.seed, other.count))


@dataclass
class Sketches:
    """The model: a list, and rules said as plainly as can be."""

    jobs: list[Sketch] = field(default_factory=list)
    turn: int = 0
    leaner: bool = False

    @property
    def running(self) -> list[Sketch]:
        return [job for job in self.jobs if job.state == "running"]

    @property
    def queued(self) -> list[Sketch]:
        return [job for job in self.jobs if job.state == "queued"]

    def order(self) -> list[list[Sketch]]:
        left, turns, order = self.queued, {job.client: 0 for job in self.jobs}, []
        for job in self.jobs:
            turns[job.client] = max(turns[job.client], job.turn)
        now = self.turn
        while left:
            begun = [job for job in left if job.turn]
            longest = min(turns[job.client] for job in left)
            first = min(begun or [job for job in left if turns[job.client] == longest], key=lambda job: job.number)
            together = [job for job in left if job.shares(first)]
            now += 1
            for job in together:
                turns[job.client] = now
                left.remove(job)
            order.append(together)
        return order

    def serve(self) -> None:
        """What the queue does by itself."""
        while not self.running and self.queued:
            together = self.order()[0]
            self.turn += 1
            pictures = max(job.pictures for job in together)
            self.leaner = any(job.leaner for job in together)
            for job in together:
                self.begin(job, pictures)
            if pictures == together[0].count:
                self.end("done")

    def begin(self, job: Sketch, pictures: int) -> None:
        job.state, job.attempts, job.pictures, job.turn = "running", job.attempts + 1, pictures, self.turn

    def end(self, state: str) -> None:
        for job in self.running:
            job.state = state

    def again(self, leaner: bool) -> None:
        for job in self.running:
            job.state = "failed" if job.attempts >= MOST_ATTEMPTS else "queued"
            job.leaner = job.leaner or leaner


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp(prefix="nutshell-queue-"))
        self.model = Sketches()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(within(work))

    @initialize()
    def start(self) -> None:
        self.folders = 0
        self.open()

    def open(self) -> None:
        self.stack, self.worker = AsyncExitStack(), Puppet()
        folder = self.root / str(self.folders)
        self.kit: Kit = self.do(self.stack.enter_async_context(opened(folder, self.worker, queue=CAP)))

    def teardown(self) -> None:
        if hasattr(self, "kit"):
            self.do(self.stack.aclose())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.root)

    # ------------------------------------------------------------ rules

    @rule(client=st.sampled_from("abc"), seed=st.sampled_from([None, None, 1, 2]), count=st.integers(1, 2))
    def submit(self, client: str, seed: int | None, count: int) -> None:
        async def ask() -> str:
            job = await self.kit.queue.submit(wish("same", seed=seed, count=count), client)
            return job.id

        job = Sketch(len(self.model.jobs) + 1, client, seed, count)
        if len(self.model.queued) >= CAP:
            with pytest.raises(QueueFull):
                self.do(ask())
            return
        job.id = self.do(ask())
        running = self.model.running
        self.model.jobs.append(job)
        if running and job.shares(running[0]):
            self.model.begin(job, running[0].pictures)

    @rule(clients=st.lists(st.sampled_from("abc"), min_size=2, max_size=CAP))
    def submit_many(self, clients: list[str]) -> None:
        for client in clients:
            self.submit(client, None, 1)
            self.they_agree()

    @precondition(lambda self: self.model.running)
    @rule()
    def draw_a_picture(self) -> None:
        self.worker.order("picture")
        for job in self.model.running:
            job.pictures += 1
        if all(job.pictures == job.count for job in self.model.running):
            self.model.end("done")

    @precondition(lambda self: self.model.running)
    @rule()
    def the_worker_dies(self) -> None:
        self.worker.order(WorkerDied(tr("was killed")))
        self.model.again(leaner=True)

    @precondition(lambda self: self.model.running)
    @rule()
    def the_drawing_fails(self) -> None:
        self.worker.order(EngineError(tr("oh")))
        self.model.end("failed")

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.model.jobs))
        now = self.do(self.kit.queue.cancel(job.id))
        if job.state in ("queued", "running"):
            job.state = "cancelled"
        assert now.state == job.state

    @rule()
    def stop_and_start(self) -> None:
        self.do(self.stack.aclose())
        for job in self.model.running:
            job.state, job.attempts = "queued", job.attempts - 1
        self.open()

    @rule()
    def crash_and_start(self) -> None:
        """A copy of the files at this moment is what a crash leaves."""
        self.do(self.kit.store.do(lambda database: None))
        now, self.folders = self.folders, self.folders + 1
        shutil.copytree(self.root / str(now), self.root / str(self.folders))
        self.do(self.stack.aclose())
        self.model.again(leaner=False)
        self.open()

    # ------------------------------------------------------------ what holds after each

    @invariant()
    def they_agree(self) -> None:
        if hasattr(self, "kit"):
            self.model.serve()
            self.do(self.agree())

    async def agree(self) -> None:
        """Once the queue has done what it does by itself."""
        seen: Any = None
        queue, model = self.kit.queue, self.model

        async def look() -> bool:
            nonlocal seen
            jobs = {job.id: job for job in await queue.page(limit=1000)}
            seen = [(job.state, job.attempts, len(job.pictures)) for job in (jobs[sketch.id] for sketch in model.jobs)]
            return seen == wanted and self.worker.at_work == bool(model.running)

        wanted = [(job.state, job.attempts, job.pictures) for job in model.jobs]
        for _ in range(2000):
            if await look():
                break
            await asyncio.sleep(0.002)
        else:
            raise AssertionError(f"the queue has {seen}, the model {wanted}")
        first = 1 if model.running else 0
        for place, together in enumerate(model.order(), first):
            assert [queue.position(job.id) for job in together] == [place] * len(together)
        assert queue.waiting == len(model.queued)
        assert queue.running in ([job.id for job in model.running] or [None])
        if model.running:
            drawn, leaner = self.worker.drawn[-1]
            assert drawn.count <= model.running[0].count
            assert leaner == model.leaner
        await self.whole()

    async def whole(self) -> None:
        """Every picture that a job names is there, each once."""
        for job in await self.kit.queue.page(limit=1000):
            assert len(set(job.pictures)) == len(job.pictures)
            items = [self.kit.gallery.get(id) for id in job.pictures]
            seeds = [item and item.parameters["seed"] for item in items]
            assert job.wish.seed is not None
            assert seeds == [job.wish.seed + place for place in range(len(items))]


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=max(15, SOAK), stateful_step_count=14, suppress_health_check=list(HealthCheck), deadline=None
)
