"""Jobs are drawn in a fair order, told about, cancelled, shared, retried and kept."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from nutshell.errors import EngineError, ModelNotFound, OutputError, UsageError
from nutshell.language import Translation, tr
from nutshell.service.gallery import Gallery
from nutshell.service.job import Event
from nutshell.service.queue import QueueFull, Stopping
from nutshell.service.worker import WorkerDied
from tests.service.queue_kit import Kit, Puppet, opened, pixels, png, until, wish, within
from tests.service.toy import STEPS, ToyWorker

KILLED = tr("was killed (signal {number})", number=9)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(within(test()))


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


# ---------------------------------------------------------------- one job


@pytest.mark.parametrize("amnesia", [False, True])
def test_a_job_is_drawn_and_kept(tmp_path: Path, amnesia: bool) -> None:
    async def test() -> None:
        async with opened(None if amnesia else tmp_path, ToyWorker()) as kit:
            job = await kit.queue.submit(wish(count=2), "me")
            assert (job.state, job.client, job.pictures) == ("queued", "me", ())
            assert job.wish.seed is not None
            events = await within(kit.events(job.id))
            (done,) = await kit.done(job)
            assert done.state == "done"
            assert (done.attempts, done.wish.seed) == (1, job.wish.seed)
            assert done.started is not None
            assert done.finished is not None
            items = [kit.gallery.get(id) for id in done.pictures]
            assert [item and item.parameters["seed"] for item in items] == [job.wish.seed, job.wish.seed + 1]
            assert all(item and item.job == job.id for item in items)
            assert [pixels(kit.gallery.read(id) or b"") for id in done.pictures] == [(64, 64)] * 2
            steps = [(event.picture, event.step) for event in events if event.kind == "step"]
            assert steps == [(picture, step) for picture in (1, 2) for step in range(1, STEPS + 1)]
            assert [event.picture_id for event in events if event.kind == "picture"] == list(done.pictures)
            assert kinds(events)[0] == "queued"
            assert kinds(events)[-1] == "done"
            assert all(event.job == job.id and event.pictures == 2 for event in events)
            assert await kit.queue.page() == [done]
            # Who comes late hears the same of pictures and end.
            assert kinds(await kit.events(job.id)) == ["picture", "picture", "done"]
        assert amnesia or not list(tmp_path.rglob("*.part"))
        assert not amnesia or not list(tmp_path.iterdir())

    run(test)


def test_a_wish_is_checked_before_it_is_queued(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            with pytest.raises(UsageError) as caught:
                await kit.queue.submit(wish(count=1000), "me")
            assert caught.value.field == "count"
            # The model's own 256 pixels, or 512, are the other side.
            for model, side in (("artist", 4096), ("castles", 2048)):
                await kit.queue.cancel((await kit.queue.submit(wish(model=model, width=None, height=side), "me")).id)
            with pytest.raises(UsageError) as caught:
                await kit.queue.submit(wish(model="castles", width=4096, height=None), "me")
            assert caught.value.field == "width"
            with pytest.raises(ModelNotFound):
                await kit.queue.submit(wish(model="no such"), "me")
            assert len(await kit.queue.page()) == 2
            assert kit.queue.waiting == 0
            job = await kit.queue.submit(wish(model="dall-e-3"), "me")
            assert job.wish.model == "artist"

    run(test)


def test_a_fault_of_the_pipeline_ends_the_job_with_its_reason(tmp_path: Path) -> None:
    async def test() -> None:
        error = EngineError(tr("the engine {name} failed", name="x"), tr("try another"))
        async with opened(tmp_path, ToyWorker(faults=[error])) as kit:
            job = await kit.queue.submit(wish(), "me")
            events = await within(kit.events(job.id))
            (failed,) = await kit.done(job)
            assert failed.state == "failed"
            assert failed.fault is not None
            assert failed.fault.kind == "EngineError"
            assert (failed.fault.message, failed.fault.message.template) == (
                "the engine x failed",
                "the engine {name} failed",
            )
            assert failed.fault.hint == "try another"
            assert events[-1].fault == failed.fault
            # The next is drawn all the same.
            assert (await kit.done(await kit.queue.submit(wish(), "me")))[0].state == "done"

    run(test)


def test_a_fault_that_nobody_foresaw_ends_the_job_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, ToyWorker(faults=[ZeroDivisionError("oh")])) as kit:
            jobs = [await kit.queue.submit(wish(), "me") for _ in range(2)]
            assert [job.state for job in await kit.done(*jobs)] == ["failed", "done"]

    run(test)


def test_a_worker_that_draws_too_little_is_found_out(tmp_path: Path) -> None:
    class Lazy(ToyWorker):
        async def draw(self, *arguments: Any, **values: Any) -> None:
            await asyncio.sleep(0)

    async def test() -> None:
        async with opened(tmp_path, Lazy()) as kit:
            (job,) = await kit.done(await kit.queue.submit(wish(), "me"))
            assert job.state == "failed"
            assert job.fault is not None
            assert "did not draw all pictures" in job.fault.message

    run(test)


def test_the_pictures_of_a_wish_reach_the_worker_and_go_with_the_job(tmp_path: Path) -> None:
    async def test() -> None:
        worker, picture, mask = ToyWorker(), png(1), png(2)
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(image=picture, mask=mask), "me")
            assert (job.wish.image, job.wish.mask) == (None, None)
            await kit.done(job)
            assert (worker.drawn[0][0].image, worker.drawn[0][0].mask) == (picture, mask)
            left = await kit.store.do(lambda database: database.execute("SELECT count(*) FROM inputs").fetchone())
            assert left == (0,)

    run(test)


# ---------------------------------------------------------------- order


def test_clients_take_turns(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            first = await kit.queue.submit(wish("0"), "greedy")
            await until(lambda: worker.at_work)
            jobs = [
                await kit.queue.submit(wish(f"{client}{place}"), client)
                for client, place in (("greedy", 1), ("greedy", 2), ("greedy", 3), ("b", 1), ("b", 2), ("c", 1))
            ]
            expected = ["b1", "c1", "greedy1", "b2", "greedy2", "greedy3"]
            by_position = sorted(jobs, key=lambda job: kit.queue.position(job.id))
            assert [job.wish.prompt for job in by_position] == expected
            assert [kit.queue.position(job.id) for job in by_position] == [1, 2, 3, 4, 5, 6]
            assert (kit.queue.position(first.id), kit.queue.running, kit.queue.waiting) == (0, first.id, 6)
            for count in range(1, 8):
                await until(lambda count=count: worker.at_work and len(worker.drawn) == count)
                worker.order("finish")
            await kit.done(*jobs)
            assert [drawn.prompt for drawn, _ in worker.drawn] == ["0", *expected]

    run(test)


def test_those_who_wait_are_told_when_the_queue_moves(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            _, other, mine = [await kit.queue.submit(wish(prompt), "me") for prompt in "abc"]
            await until(lambda: worker.at_work)
            reader = kit.queue.follow(mine.id)
            event = await within(anext_of(reader))
            assert (event.kind, event.position) == ("queued", 2)
            await kit.queue.cancel(other.id)
            event = await within(anext_of(reader))
            assert (event.kind, event.position) == ("queued", 1)
            worker.order("finish")
            event = await within(anext_of(reader))
            assert (event.kind, event.position) == ("queued", 0)
            await until(lambda: len(worker.drawn) == 2 and worker.at_work)
            worker.order("finish")
            rest = [event async for event in reader]
            assert "loading" in kinds(rest)
            assert kinds(rest)[-1] == "done"

    run(test)


async def anext_of(reader: Any) -> Event:
    event: Event = await reader.__anext__()
    return event


def test_no_clock_decides_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps back a year and to the future; a job's own times follow it, the order does not."""
    clock = itertools.cycle([1e9, 3e9, 5.0, 2e9, -7.0])
    monkeypatch.setattr(time, "time", lambda: next(clock))

    async def test() -> None:
        worker = ToyWorker()
        async with opened(tmp_path, worker) as kit:
            jobs = [await kit.queue.submit(wish(str(number)), "me") for number in range(12)]
            done = await kit.done(*jobs)
            assert [job.state for job in done] == ["done"] * 12
            assert [drawn.prompt for drawn, _ in worker.drawn] == [str(number) for number in range(12)]
            assert [job.number for job in await kit.queue.page()] == list(range(12, 0, -1))
            assert [item.number for item in kit.gallery.page()] == list(range(12, 0, -1))

    run(test)


def test_pages_of_jobs(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            jobs = [await kit.queue.submit(wish(), "me") for _ in range(5)]
            await until(lambda: worker.at_work)
            await kit.queue.cancel(jobs[2].id)
            assert [job.number for job in await kit.queue.page(limit=2)] == [5, 4]
            assert [job.number for job in await kit.queue.page(before=4)] == [3, 2, 1]
            assert len(await kit.queue.page(before=10**30)) == 5
            assert await kit.queue.page(before=-(10**30)) == []
            assert [job.number for job in await kit.queue.page(states=["queued"])] == [5, 4, 2]
            assert [job.number for job in await kit.queue.page(states=["cancelled", "running"])] == [3, 1]
            assert await kit.queue.page(states=[]) == []

    run(test)


# ---------------------------------------------------------------- cap


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker, queue=2) as kit:
            running = await kit.queue.submit(wish(), "me")
            await until(lambda: worker.at_work)
            answers = await asyncio.gather(
                *(kit.queue.submit(wish(), f"c{place}") for place in range(5)), return_exceptions=True
            )
            taken = [answer for answer in answers if not isinstance(answer, BaseException)]
            refused = [answer for answer in answers if isinstance(answer, QueueFull)]
            assert (len(taken), len(refused), kit.queue.waiting) == (2, 3, 2)
            assert refused[0].retry_after_seconds >= 1
            worker.order("step")
            await until(lambda: kit.queue._line.seconds_left())
            with pytest.raises(QueueFull) as caught:
                await kit.queue.submit(wish(), "me")
            # The step said 1.5 seconds.
            assert 1 <= caught.value.retry_after_seconds <= 1.5
            await kit.queue.cancel(running.id)
            await until(lambda: len(worker.drawn) == 2)
            await kit.queue.submit(wish(), "me")

    run(test)


def test_pictures_that_wait_with_their_jobs_have_a_cap_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = png(1)
    monkeypatch.setattr("nutshell.service.queue.MOST_INPUT_BYTES", 2 * len(picture))

    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            jobs = [await kit.queue.submit(wish(image=picture), "me") for _ in range(2)]
            with pytest.raises(QueueFull):
                await kit.queue.submit(wish(image=picture), "me")
            await kit.queue.submit(wish(), "me")
            await kit.queue.cancel(jobs[1].id)
            await kit.queue.submit(wish(image=picture), "me")
            assert kit.queue.waiting + bool(kit.queue.running) == 3

    run(test)


# ---------------------------------------------------------------- cancel


def test_cancel(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            running, queued, after = [await kit.queue.submit(wish(count=3), "me") for _ in range(3)]
            await until(lambda: worker.at_work)
            worker.order("picture", "step")
            await until(lambda: kit.gallery.page())
            gone = await kit.queue.cancel(queued.id)
            assert gone is not None
            assert (gone.state, gone.pictures, gone.attempts) == ("cancelled", (), 0)
            gone = await kit.queue.cancel(running.id)
            assert gone is not None
            assert (gone.state, len(gone.pictures), gone.attempts) == ("cancelled", 1, 1)
            assert kit.gallery.get(gone.pictures[0]) is not None
            await until(lambda: kit.queue.running == after.id and worker.at_work)
            worker.order("finish")
            (done,) = await kit.done(after)
            assert done.state == "done"
            # What has ended stays so.
            assert await kit.queue.cancel(done.id) == done
            assert await kit.queue.cancel(gone.id) == gone
            assert await kit.queue.cancel("no such") is None
            assert (await kit.events(gone.id))[-1].kind == "cancelled"
            assert len(worker.drawn) == 2

    run(test)


def test_cancel_twice_at_once_and_while_it_begins(tmp_path: Path) -> None:
    async def test() -> None:
        worker = ToyWorker()
        async with opened(tmp_path, worker) as kit:
            for delay in range(12):
                job = await kit.queue.submit(wish(), "me")
                for _ in range(delay):
                    await asyncio.sleep(0)
                answers = await within(asyncio.gather(*(kit.queue.cancel(job.id) for _ in range(3))))
                assert len({answer.state for answer in answers}) == 1
                assert answers[0].state in ("cancelled", "done")
            assert (await kit.done(await kit.queue.submit(wish(), "me")))[0].state == "done"

    run(test)


# ---------------------------------------------------------------- sharing


def test_identical_wishes_with_a_seed_share_a_drawing(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            ahead = await kit.queue.submit(wish("ahead"), "z")
            await until(lambda: worker.at_work)
            same = wish(seed=7, count=2, image=png(1))
            first, twin, third = [await kit.queue.submit(same, client) for client in "abc"]
            others = [
                await kit.queue.submit(other, client)
                for client, other in (
                    ("d", wish(seed=8, count=2, image=png(1))),
                    ("e", wish(seed=7, count=2, image=png(2))),
                    ("f", wish(count=2)),
                )
            ]
            assert kit.queue.position(first.id) == kit.queue.position(twin.id) == 1
            assert [kit.queue.position(job.id) for job in others] == [2, 3, 4]
            worker.order("finish")
            await until(lambda: len(worker.drawn) == 2 and worker.at_work)
            worker.order("picture")
            await until(lambda: kit.queue._entries[first.id].job.pictures)
            # One more joins while it is drawn, and one leaves: the first, whose wish it was.
            late = await kit.queue.submit(same, "g")
            assert (late.state, len(late.pictures)) == ("running", 1)
            gone = await kit.queue.cancel(first.id)
            assert gone is not None
            assert (gone.state, len(gone.pictures)) == ("cancelled", 1)
            worker.order("picture")
            done = await kit.done(twin, third, late)
            assert [job.state for job in done] == ["done"] * 3
            assert len({job.pictures for job in done}) == 1
            assert len(done[0].pictures) == 2
            assert len({job.id for job in done}) == 3
            assert len(kit.gallery.page()) == 3
            for _ in others:
                drawn = len(worker.drawn)
                await until(lambda: worker.at_work)
                worker.order("finish")
                await until(lambda drawn=drawn: len(worker.drawn) > drawn or not kit.queue.running)
            await kit.done(*others)
            assert len(worker.drawn) == 5
            # What has ended is not shared any more: whoever asks again gets a picture of their own.
            again = await kit.queue.submit(same, "a")
            await until(lambda: worker.at_work)
            worker.order("finish")
            assert (await kit.done(again))[0].pictures != done[0].pictures
            assert ahead.id

    run(test)


def test_a_shared_drawing_stops_when_all_have_left(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            jobs = [await kit.queue.submit(wish(seed=1), client) for client in "ab"]
            await until(lambda: worker.at_work)
            for job in jobs:
                assert worker.at_work
                await kit.queue.cancel(job.id)
            await until(lambda: not worker.at_work)
            assert [job.state for job in await kit.done(*jobs)] == ["cancelled"] * 2
            assert (kit.queue.running, kit.queue.waiting) == (None, 0)

    run(test)


# ---------------------------------------------------------------- a worker that dies


def test_a_worker_that_died_is_tried_once_more_with_a_leaner_plan(tmp_path: Path) -> None:
    async def test() -> None:
        worker = ToyWorker(faults=[WorkerDied(KILLED)])
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(count=2), "me")
            events = await within(kit.events(job.id))
            (done,) = await kit.done(job)
            assert (done.state, done.attempts, len(done.pictures)) == ("done", 2, 2)
            assert [leaner for _, leaner in worker.drawn] == [False, True]
            (note,) = done.notes
            assert note == ("the worker process failed (was killed (signal 9)); it is drawn again with less memory")
            assert Translation("en")(note) == note
            assert note in [event.note for event in events if event.kind == "queued"]
            assert (await kit.queue.page())[0].notes[0].values["reason"].template == KILLED.template

    run(test)


def test_a_worker_that_dies_twice_ends_the_job_with_the_reason(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            job, other = await kit.queue.submit(wish(), "me"), await kit.queue.submit(wish(), "you")
            await until(lambda: worker.at_work)
            worker.order(WorkerDied(KILLED))
            # It goes on at once, before those that wait.
            await until(lambda: len(worker.drawn) == 2 and worker.at_work)
            assert (kit.queue.running, worker.drawn[1][1]) == (job.id, True)
            worker.order(WorkerDied(KILLED))
            (failed,) = await kit.done(job)
            assert (failed.state, failed.attempts) == ("failed", 2)
            assert failed.fault is not None
            assert failed.fault.kind == "WorkerDied"
            assert failed.fault.message == "the worker process failed twice: was killed (signal 9)"
            await until(lambda: worker.at_work)
            assert worker.drawn[2][1] is False
            worker.order("finish")
            assert (await kit.done(other))[0].state == "done"

    run(test)


def test_pictures_that_were_done_are_not_drawn_again(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(seed=40, count=3), "me")
            await until(lambda: worker.at_work)
            worker.order("picture", WorkerDied(KILLED))
            await until(lambda: len(worker.drawn) == 2 and worker.at_work)
            assert (worker.drawn[1][0].seed, worker.drawn[1][0].count) == (41, 2)
            reader = kit.queue.follow(job.id)
            event = await within(anext_of(reader))
            assert (event.kind, event.picture, event.pictures) == ("picture", 1, 3)
            worker.order("step", "finish")
            steps = [event.picture for event in [event async for event in reader] if event.kind == "step"]
            assert steps == [2]
            (done,) = await kit.done(job)
            assert [item.parameters["seed"] for item in reversed(kit.gallery.page())] == [40, 41, 42]
            assert tuple(item.id for item in reversed(kit.gallery.page())) == done.pictures

    run(test)


def test_a_drawing_that_stops_by_itself_is_tried_again(tmp_path: Path) -> None:
    from nutshell.errors import Cancelled

    async def test() -> None:
        async with opened(tmp_path, ToyWorker(faults=[Cancelled(tr("stopped"))])) as kit:
            (job,) = await kit.done(await kit.queue.submit(wish(), "me"))
            assert (job.state, job.attempts) == ("done", 2)

    run(test)


# ---------------------------------------------------------------- stop and start


def test_a_graceful_stop_queues_again_what_ran(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            other = await kit.queue.submit(wish("other"), "me")
            job = await kit.queue.submit(wish("mine", seed=5, count=2), "you")
            await until(lambda: worker.at_work)
            worker.order("finish")
            await until(lambda: kit.queue.running == job.id and worker.at_work)
            more = await kit.queue.submit(wish("more"), "third")
            worker.order("picture")
            await until(lambda: len(kit.gallery.page()) == 2)
            waiting = asyncio.create_task(kit.queue.wait(job.id))
            reading = asyncio.create_task(kit.events(more.id))
            await asyncio.sleep(0)
            await kit.queue.stop()
            assert worker.closed
            assert not worker.at_work
            with pytest.raises(Stopping):
                await within(waiting)
            assert kinds(await within(reading))[-1] == "queued"
            with pytest.raises(Stopping):
                await kit.queue.submit(wish(), "me")
            assert kit.queue.waiting == 2
            await kit.done(other)
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            await until(lambda: worker.at_work)
            # The same goes on with what is left, and no attempt was counted.
            assert kit.queue.running == job.id
            assert (worker.drawn[0][0].seed, worker.drawn[0][0].count, worker.drawn[0][1]) == (6, 1, False)
            worker.order("finish")
            (done,) = await kit.done(job)
            assert (done.state, done.attempts, len(done.pictures), done.notes) == ("done", 1, 2, ())
            await until(lambda: worker.at_work)
            worker.order("finish")
            assert (await kit.done(more))[0].state == "done"

    run(test)


def test_a_worker_that_does_not_heed_the_stop_is_left_behind(tmp_path: Path) -> None:
    class Deaf(Puppet):
        def cancel(self) -> None:
            pass

    async def test() -> None:
        worker = Deaf()
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(), "me")
            await until(lambda: worker.at_work)
            await within(kit.queue.stop(0.05))
            now = await kit.queue.get(job.id)
            assert now is not None
            assert (now.state, now.attempts) == ("queued", 0)

    run(test)


def test_a_job_that_is_submitted_during_the_stop_is_either_kept_or_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            submits = [asyncio.create_task(kit.queue.submit(wish(str(n)), "me")) for n in range(8)]
            await asyncio.sleep(0)
            await kit.queue.stop()
            answers = await within(asyncio.gather(*submits, return_exceptions=True))
        kept = {answer.id for answer in answers if not isinstance(answer, BaseException)}
        assert all(isinstance(answer, Stopping) for answer in answers if isinstance(answer, BaseException))
        async with opened(tmp_path, ToyWorker()) as kit:
            assert {job.id for job in await kit.queue.page()} == kept
            for id in kept:
                assert (await within(kit.queue.wait(id))).state == "done"

    run(test)


def test_whoever_hangs_up_while_submitting_leaves_a_whole_job(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            for turns in range(6):
                task = asyncio.create_task(kit.queue.submit(wish(), "me"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
            done = await kit.done(await kit.queue.submit(wish(), "me"))
            assert done[0].state == "done"
            await until(lambda: not kit.queue._entering and not kit.queue._entries)
            assert {job.state for job in await kit.queue.page()} == {"done"}

    run(test)


# ---------------------------------------------------------------- followers


def test_a_slow_reader_holds_up_nobody_and_misses_no_end(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(count=5, previews=True), "me")
            await until(lambda: worker.at_work)
            slow, quick = kit.queue.follow(job.id), asyncio.create_task(kit.events(job.id))
            assert (await within(anext_of(slow))).kind in ("queued", "loading")
            for _ in range(5):
                worker.order(*["step"] * 200, "picture")
            events = await within(quick)
            (done,) = await kit.done(job)
            assert done.state == "done"
            late = [event async for event in slow]
            # A thousand steps and previews were told; what waited was bounded.
            assert len(late) < 80
            assert kinds(late).count("preview") <= 1
            assert [event.picture_id for event in late if event.kind == "picture"] == list(done.pictures)
            assert kinds(late)[-1] == "done"
            assert kinds(events)[-1] == "done"

    run(test)


def test_a_reader_that_leaves_is_forgotten(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(), "me")
            readers = [kit.queue.follow(job.id) for _ in range(50)]
            for reader in readers:
                await anext_of(reader)
            assert len(kit.queue._entries[job.id].readers) == 50
            for reader in readers:
                await reader.aclose()  # type: ignore[attr-defined]
            assert not kit.queue._entries[job.id].readers

    run(test)


def test_who_comes_in_the_middle_is_told_the_present_state(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(count=2, previews=True), "me")
            await until(lambda: worker.at_work)
            worker.order("picture", "step", "step")
            await until(lambda: kit.queue._entries[job.id].now.step == 2 and kit.queue._entries[job.id].job.pictures)
            reader = kit.queue.follow(job.id)
            events = [await within(anext_of(reader)) for _ in range(3)]
            assert [(event.kind, event.step, event.picture) for event in events] == [
                ("picture", 0, 1), ("step", 2, 2), ("preview", 2, 2),
            ]  # fmt: skip
            assert events[2].preview == b"preview"

    run(test)


def test_an_id_that_nobody_knows(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            assert await kit.queue.get("no such") is None
            assert await within(kit.events("no such")) == []
            with pytest.raises(KeyError):
                await kit.queue.wait("no such")
            assert kit.queue.position("no such") == 0

    run(test)


# ---------------------------------------------------------------- time left


def test_seconds_left_are_learned_and_outlast_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, ToyWorker(step_seconds=0.01)) as kit:
            first = await kit.queue.submit(wish(), "me")
            events = await kit.events(first.id)
            assert events[0].seconds_left is None, "nothing was known yet"
            # The first had to load its model; its time tells nothing.
            await kit.done(await kit.queue.submit(wish(), "me"))
            await kit.done(await kit.queue.submit(wish(), "me"))
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            jobs = [await kit.queue.submit(one, "me") for one in (wish(), wish(count=3), wish(steps=50), wish())]
            await until(lambda: worker.at_work)
            left = [(await anext_of(kit.queue.follow(job.id))).seconds_left for job in jobs[1:]]
            assert left[0] is not None
            assert 4 * STEPS * 0.01 <= left[0] < 4
            assert left[1:] == [None, None], "nothing is known of 50 steps, nor of what comes after"
            worker.order("step")
            await until(lambda: kit.queue._line.seconds_left() > 1)
            left = [(await anext_of(kit.queue.follow(job.id))).seconds_left for job in jobs[1:2]]
            assert left[0] is not None
            assert 1.5 < left[0] < 6, "the step said 1.5 seconds"

    run(test)


def test_an_error_of_the_queue_itself_costs_one_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nutshell.service import store_jobs

    read, failures = store_jobs.with_inputs, [ZeroDivisionError("oh")]

    def failing(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return read(*arguments)

    monkeypatch.setattr(store_jobs, "with_inputs", failing)

    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            jobs = [await kit.queue.submit(wish(), "me") for _ in range(2)]
            assert [job.state for job in await kit.done(*jobs)] == ["failed", "done"]

    run(test)


def test_clients_without_number_are_not_remembered_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nutshell.service.queue_line.MOST_CLIENTS", 3)

    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            for client in (*"abcdef", "a", "f"):
                await kit.done(await kit.queue.submit(wish(), client))
            assert list(kit.queue._line._served) == ["e", "a", "f"]
        async with opened(tmp_path, Puppet()) as kit:
            assert list(kit.queue._line._served)[-2:] == ["a", "f"]

    run(test)


def test_a_picture_that_cannot_be_kept_costs_its_job_and_not_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to the disk while the next is drawn."""
    worker, gate = Puppet(), threading.Event()
    add = Gallery.add

    def slow(self: Gallery, job: str, *arguments: Any, **values: Any) -> Any:
        if not gate.is_set():
            gate.wait(20)
            raise OutputError(tr("the disk is full"))
        return add(self, job, *arguments, **values)

    monkeypatch.setattr(Gallery, "add", slow)

    async def test() -> None:
        async with opened(tmp_path, worker) as kit:
            first, second = [await kit.queue.submit(wish(), "me") for _ in range(2)]
            await until(lambda: worker.at_work)
            worker.order("picture")
            await until(lambda: len(worker.drawn) == 2 and worker.at_work)
            assert kit.queue.running == second.id
            now = await kit.queue.get(first.id)
            assert now is not None
            assert now.state == "running"
            # Too late to be cancelled: it says so once it is over.
            cancelling = asyncio.create_task(kit.queue.cancel(first.id))
            await asyncio.sleep(0)
            gate.set()
            (failed,) = await kit.done(first)
            assert await cancelling == failed
            assert failed.state == "failed"
            assert failed.fault is not None
            assert (failed.fault.kind, failed.fault.message) == ("OutputError", "the disk is full")
            worker.order("finish")
            (done,) = await kit.done(second)
            assert (done.state, done.attempts) == ("done", 1)

    run(test)


def held(kit: Kit) -> Callable[[], None]:
    """The disk answers nobody until the returned function is called."""
    gate = threading.Event()
    kit.store.submit(lambda database: gate.wait(20))
    return gate.set


@pytest.mark.parametrize("ending", ["cancel", "stop"])
def test_what_is_stopped_before_the_worker_is_at_work_is_not_drawn(tmp_path: Path, ending: str) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(), "me")
            release = held(kit)
            await until(lambda: kit.queue.running == job.id)
            stopping = asyncio.create_task(kit.queue.cancel(job.id) if ending == "cancel" else kit.queue.stop())
            await asyncio.sleep(0)
            release()
            await within(stopping)
            await until(lambda: not kit.queue.running)
            now = await kit.queue.get(job.id)
            assert now is not None
            assert (now.state, now.attempts) == (("cancelled", 1) if ending == "cancel" else ("queued", 0))
            assert worker.drawn == []

    run(test)


def test_what_is_being_cancelled_is_not_begun(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            first, second = [await kit.queue.submit(wish(), "me") for _ in range(2)]
            await until(lambda: worker.at_work)
            release = held(kit)
            cancelling = asyncio.create_task(kit.queue.cancel(second.id))
            await asyncio.sleep(0)
            worker.order("finish")
            await until(lambda: not worker.at_work)
            for _ in range(50):
                await asyncio.sleep(0)
            release()
            assert (await within(cancelling)).state == "cancelled"
            assert (await kit.done(first))[0].state == "done"
            await until(lambda: not kit.queue.running)
            now = await kit.queue.get(second.id)
            assert now is not None
            assert (now.state, now.attempts, len(worker.drawn)) == ("cancelled", 0, 1)

    run(test)


def test_a_preview_of_an_attempt_that_failed_is_not_shown_again(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            job = await kit.queue.submit(wish(previews=True), "me")
            await until(lambda: worker.at_work)
            worker.order("step", WorkerDied(KILLED))
            await until(lambda: len(worker.drawn) == 2 and worker.at_work)
            reader = kit.queue.follow(job.id)
            assert (await within(anext_of(reader))).kind == "loading"
            worker.order("finish")
            assert kinds([event async for event in reader]) == ["picture", "done"]

    run(test)
