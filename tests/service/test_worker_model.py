"""The worker with the built-in model: real pictures from a process of its own."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nutshell
from nutshell.errors import Cancelled, ModelNotFound, UsageError
from nutshell.pipeline import Request
from nutshell.pipeline.order import place_order
from nutshell.service.wish import Wish
from nutshell.service.worker import Drawn, Loading, Step, Told, WorkerDied
from nutshell.service.worker_settings import DrawSettings
from nutshell.service.worker_studio import open_model
from nutshell.service.worker_supervisor import ProcessWorker
from nutshell.store import find
from tests.service.workers import DEADLINE_SECONDS, drawn, real_worker

SIDE, STEPS = 64, 2
Shared = Callable[[Callable[[ProcessWorker], Any]], None]


def wish(**given: Any) -> Wish:
    return Wish("a red apple", **{"model": "artist", "width": SIDE, "height": SIDE, "steps": STEPS, "seed": 3, **given})


def picture(told: Told) -> Image.Image:
    assert isinstance(told, Drawn)
    with Image.open(io.BytesIO(told.png)) as image:
        image.load()
        return image


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    loop, worker = asyncio.new_event_loop(), real_worker()
    yield lambda work: loop.run_until_complete(asyncio.wait_for(work(worker), DEADLINE_SECONDS))
    loop.run_until_complete(worker.close(0))
    loop.close()


def test_its_picture_is_the_one_that_is_drawn_in_process(shared: Shared) -> None:
    with nutshell.load("artist", threads=1, learn=False) as model:
        ours = model.generate("a red apple", width=SIDE, height=SIDE, steps=STEPS, seed=3)

    async def work(worker: ProcessWorker) -> None:
        said = await drawn(worker, wish(previews=True))
        assert [type(each) for each in said] == [Loading, *[Step] * STEPS, Drawn]
        theirs = picture(said[-1])
        assert np.abs(np.asarray(theirs, int) - np.asarray(ours.image, int)).max() <= 1
        assert said[-1].parameters == ours.parameters
        with Image.open(io.BytesIO(said[1].preview)) as preview:
            assert preview.format == "JPEG"
        assert worker.loaded == "artist"
        assert worker.memory_bytes > 50_000_000

    shared(work)


def test_a_picture_and_a_mask_reach_it(shared: Shared) -> None:
    source = Image.effect_noise((SIDE, SIDE), 80).convert("RGB")
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (0, 0, SIDE // 2, SIDE))

    async def work(worker: ProcessWorker) -> None:
        given = {"image": png(source), "mask": png(mask), "mask_blur": 0.0, "strength": 1.0}
        result = np.asarray(picture((await drawn(worker, wish(**given)))[-1]))
        before = np.asarray(source)
        assert np.array_equal(result[:, SIDE // 2 :], before[:, SIDE // 2 :])
        assert not np.array_equal(result[:, : SIDE // 2], before[:, : SIDE // 2])

    shared(work)


def test_a_cancel_is_heard(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        said: list[Told] = []

        def tell(told: Told) -> None:
            said.append(told)
            if isinstance(told, Step):
                worker.cancel()

        with pytest.raises(Cancelled):
            await worker.draw(wish(steps=140, width=128, height=128), tell)
        # One more may have been told meanwhile.
        assert len([each for each in said if isinstance(each, Step)]) <= 2
        assert isinstance((await drawn(worker, wish()))[-1], Drawn)

    shared(work)


def test_its_errors_are_the_pipelines(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        with pytest.raises(UsageError, match="unknown sampler 'nope'"):
            await drawn(worker, wish(sampler="nope"))
        with pytest.raises(ModelNotFound, match="no model named 'nobody'"):
            await drawn(worker, wish(model="nobody"))
        assert worker.loaded is None

    shared(work)


def test_another_model_takes_the_place_of_the_open_one(shared: Shared) -> None:
    by_path = str(find("artist").path)

    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, wish())
        said = await drawn(worker, wish(model=by_path))
        assert said[0] == Loading(by_path)
        assert isinstance(said[-1], Drawn)
        assert worker.loaded == by_path

    shared(work)


def test_a_worker_that_is_killed_in_a_picture_is_replaced(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        def tell(told: Told) -> None:
            if isinstance(told, Step) and told.step == 1:
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)

        with pytest.raises(WorkerDied, match="signal 9"):
            await worker.draw(wish(steps=140), tell)
        said = await drawn(worker, wish(), leaner=True)
        assert isinstance(said[0], Loading)
        assert isinstance(said[-1], Drawn)

    shared(work)


def test_a_leaner_plan_takes_one_stage_at_a_time_and_less_memory() -> None:
    settings = DrawSettings(learn=False, threads=1)
    plans = []
    for leaner in (False, True):
        with open_model(settings, "artist", leaner) as model:
            order = place_order(Request("a red apple"), model.facts, model.tokenizer, SIDE, SIDE, 1)
            plans.append(model.plan(order))
    usual, lean = plans
    assert (usual.staged, lean.staged) == (False, True)
    assert lean.need_bytes <= usual.need_bytes
    assert lean.ceiling_bytes < 0.9 * usual.ceiling_bytes
