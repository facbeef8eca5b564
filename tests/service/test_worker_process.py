"""The process that draws and its supervisor, with a model that needs no engine."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from nutshell.errors import Cancelled, EngineError, NotEnoughMemory, NutshellError, UsageError
from nutshell.language.translation import Translation
from nutshell.pipeline.parameters import from_text
from nutshell.service.worker import Drawn, Loading, Step, Told, WorkerDied
from nutshell.service.worker_child import worker_command
from nutshell.service.worker_frames import read_frame
from nutshell.service.worker_messages import draw_frame, read_told
from nutshell.service.worker_settings import DrawSettings
from nutshell.service.worker_supervisor import ProcessWorker
from tests.service.workers import DEADLINE_SECONDS, drawn, gone, run, toy_command, toy_wish, toy_worker

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


Shared = Callable[[Callable[[ProcessWorker], Any]], None]


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    """Does a test's work with one worker for all tests that leave its process alive."""
    loop, worker = asyncio.new_event_loop(), toy_worker()
    yield lambda work: loop.run_until_complete(asyncio.wait_for(work(worker), DEADLINE_SECONDS))
    loop.run_until_complete(worker.close(0))
    loop.close()


def kinds(said: list[Told]) -> list[str]:
    return [type(each).__name__ for each in said]


def test_a_wish_is_drawn_and_told_in_order(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        await worker.unload()
        assert (worker.pid, worker.loaded, worker.memory_bytes) == (None, None, 0)
        said = await drawn(worker, toy_wish(steps=2, count=2, seed=7))
        # Steps that follow one another quickly are not all told, but the last of each picture is.
        assert [kind for kind, _ in groupby(kinds(said))] == ["Loading", "Step", "Drawn", "Step", "Drawn"]
        steps = [(each.picture, each.step) for each in said if isinstance(each, Step)]
        assert {(1, 1), (1, 2), (2, 2)} <= set(steps)
        pictures = [each for each in said if isinstance(each, Drawn)]
        assert [each.parameters["seed"] for each in pictures] == [7, 8]
        with Image.open(io.BytesIO(pictures[1].png)) as image:
            assert image.size == (64, 64)
            assert from_text(image.text["parameters"])["seed"] == 8
        assert worker.loaded == "toy"
        assert worker.memory_bytes == pytest.approx(psutil.Process(worker.pid).memory_info().rss, rel=0.5)

    shared(work)


def test_the_process_and_its_model_stay_for_the_next_wish(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, toy_wish())
        first = worker.pid
        assert kinds(await drawn(worker, toy_wish(steps=1))) == ["Step", "Drawn"]
        assert worker.pid == first

    shared(work)


def test_another_model_takes_the_place_of_the_open_one(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, toy_wish())
        first = worker.pid
        said = await drawn(worker, replace(toy_wish(), model="other"))
        assert said[0] == Loading("other")
        assert isinstance(said[-1], Drawn)
        assert said[-1].parameters["model"] == "other"
        assert (worker.loaded, worker.pid) == ("other", first)

    shared(work)


def test_previews_are_made_where_they_are_wanted(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        without = await drawn(worker, toy_wish(steps=30))
        assert not any(each.preview for each in without if isinstance(each, Step))
        steps = [each for each in await drawn(worker, toy_wish(steps=30, previews=True)) if isinstance(each, Step)]
        with Image.open(io.BytesIO(steps[0].preview)) as image:
            assert image.format == "JPEG"
            assert image.size == (64, 64)
        # The picture itself comes next.
        assert not steps[-1].preview

    shared(work)


def test_a_leaner_wish_has_the_model_opened_anew(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        assert (await drawn(worker, toy_wish()))[-1].parameters["leaner"] is False
        said = await drawn(worker, toy_wish(), leaner=True)
        assert said[0] == Loading("toy")
        assert said[-1].parameters["leaner"] is True
        assert (await drawn(worker, toy_wish()))[-1].parameters["leaner"] is False

    shared(work)


def test_a_cancel_is_heard_within_a_step(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, toy_wish())
        said: list[Told] = []

        def tell(told: Told) -> None:
            said.append(told)
            if isinstance(told, Step):
                worker.cancel()

        with pytest.raises(Cancelled):
            await worker.draw(toy_wish("slow", steps=500), tell)
        assert kinds(said) == ["Step"]
        assert worker.loaded == "toy"
        # A late cancel is not meant for the next wish.
        worker.cancel()
        assert kinds(await drawn(worker, toy_wish(steps=1))) == ["Step", "Drawn"]

    shared(work)


def test_a_cancel_before_the_process_is_there_is_not_lost() -> None:
    async def work(worker: ProcessWorker) -> None:
        drawing = asyncio.ensure_future(worker.draw(toy_wish("slow", steps=100), lambda told: None))
        await asyncio.sleep(0)
        worker.cancel()
        with pytest.raises(Cancelled):
            await drawing

    run(work, toy_worker())


def test_a_process_that_does_not_heed_a_cancel_is_killed() -> None:
    async def work(worker: ProcessWorker) -> None:
        def tell(told: Told) -> None:
            if isinstance(told, Step):
                worker.cancel()

        with pytest.raises(Cancelled):
            await worker.draw(toy_wish("deaf"), tell)
        assert kinds(await drawn(worker, toy_wish(steps=1))) == ["Loading", "Step", "Drawn"]

    run(work, toy_worker(answer_seconds=0.3))


def test_errors_keep_their_class_field_and_translation(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        with pytest.raises(NotEnoughMemory) as refused:
            await drawn(worker, toy_wish("refuse"))
        chinese = Translation("zh")(refused.value.message)
        assert "2000" in chinese
        assert chinese != refused.value.message
        with pytest.raises(UsageError) as wrong:
            await drawn(worker, toy_wish(width=13))
        assert wrong.value.field == "width"
        # ... and the model is as it was.
        assert kinds(await drawn(worker, toy_wish(steps=1))) == ["Step", "Drawn"]

    shared(work)


def test_a_fault_that_nobody_foresaw_fails_one_wish(shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    async def work(worker: ProcessWorker) -> None:
        with pytest.raises(NutshellError, match="ZeroDivisionError: by nothing"):
            await drawn(worker, toy_wish("boom"))
        first = worker.pid
        assert "ZeroDivisionError" in caplog.text
        # The model is opened anew, in the same process.
        assert kinds(await drawn(worker, toy_wish(steps=1))) == ["Loading", "Step", "Drawn"]
        assert worker.pid == first

    shared(work)


def test_a_model_whose_engine_failed_is_opened_anew(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        with pytest.raises(EngineError, match="the engine failed"):
            await drawn(worker, toy_wish("engine"))
        assert worker.loaded is None
        assert kinds(await drawn(worker, toy_wish(steps=1))) == ["Loading", "Step", "Drawn"]

    shared(work)


def test_what_libraries_print_goes_to_the_log_and_not_among_the_answers(
    shared: Shared, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")

    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, toy_wish())
        assert kinds(await drawn(worker, toy_wish("print", steps=2))) == ["Step", "Step", "Drawn"]
        # All of it is there once the process has ended.
        await worker.unload()
        said = [record.getMessage() for record in caplog.records]
        assert said.count("an engine that talks") == 2
        assert said.count("a library that talks") == 2
        assert capfd.readouterr() == ("", "")

    shared(work)


@pytest.mark.parametrize(("prompt", "reason"), [("die", "signal 9"), ("memory", "memory"), ("alloc", "out of memory")])
def test_a_death_is_told_with_its_reason_and_the_next_wish_is_drawn(shared: Shared, prompt: str, reason: str) -> None:
    async def work(worker: ProcessWorker) -> None:
        restarts = worker.restarts
        with pytest.raises(WorkerDied) as died:
            await drawn(worker, toy_wish(prompt))
        assert reason in str(died.value)
        assert Translation("en")(str(died.value)) == str(died.value)
        assert (worker.loaded, worker.memory_bytes, worker.pid) == (None, 0, None)
        assert worker.restarts == restarts + 1
        said = await drawn(worker, toy_wish(steps=1), leaner=True)
        assert kinds(said) == ["Loading", "Step", "Drawn"]

    shared(work)


def test_a_process_that_dies_while_it_is_idle_is_no_fault_of_the_next_wish(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, toy_wish())
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        assert isinstance((await drawn(worker, toy_wish()))[-1], Drawn)

    shared(work)


def test_whoever_goes_away_without_a_cancel_leaves_nothing_behind(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        stepped = asyncio.Event()
        drawing = asyncio.ensure_future(worker.draw(toy_wish("deaf"), lambda told: stepped.set()))
        await stepped.wait()
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing
        assert isinstance((await drawn(worker, toy_wish()))[-1], Drawn)

    shared(work)


def test_who_stops_waiting_for_the_process_leaves_nothing_behind(shared: Shared) -> None:
    async def work(worker: ProcessWorker) -> None:
        first = asyncio.ensure_future(worker.draw(toy_wish("slow"), lambda told: None))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(worker.draw(toy_wish(), lambda told: None))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
        # Nothing is drawn that this could stop.
        worker.cancel()
        assert isinstance((await drawn(worker, toy_wish()))[-1], Drawn)

    shared(work)


def test_closing_stops_the_wish_and_ends_the_process() -> None:
    async def work(worker: ProcessWorker) -> None:
        stepped = asyncio.Event()
        drawing = asyncio.ensure_future(drawn_until(worker, stepped))
        await stepped.wait()
        pid = worker.pid
        await worker.close(30)
        with pytest.raises(Cancelled):
            await drawing
        assert pid is not None
        assert await gone(pid)
        with pytest.raises(WorkerDied):
            await drawn(worker, toy_wish())

    run(work, toy_worker())


def test_closing_does_not_wait_longer_than_it_was_given() -> None:
    async def work(worker: ProcessWorker) -> None:
        stepped = asyncio.Event()
        drawing = asyncio.ensure_future(drawn_until(worker, stepped, "deaf"))
        await stepped.wait()
        await worker.close(0.1)
        with pytest.raises(Cancelled):
            await drawing

    run(work, toy_worker())


async def drawn_until(worker: ProcessWorker, stepped: asyncio.Event, prompt: str = "slow") -> None:
    def tell(told: Told) -> None:
        if isinstance(told, Step):
            stepped.set()

    await worker.draw(toy_wish(prompt, steps=1000), tell)


def test_it_can_be_started_before_it_is_needed() -> None:
    async def work(worker: ProcessWorker) -> None:
        await worker.start()
        first = worker.pid
        assert first is not None
        assert worker.loaded is None
        await drawn(worker, toy_wish())
        assert worker.pid == first

    run(work, toy_worker())


def test_where_nothing_is_kept_nothing_is_started_early() -> None:
    async def work(worker: ProcessWorker) -> None:
        await worker.start()
        assert worker.pid is None

    run(work, toy_worker(keep_alive_seconds=0))


def test_a_program_that_is_not_there_is_told() -> None:
    async def work(worker: ProcessWorker) -> None:
        with pytest.raises(WorkerDied, match="could not be started"):
            await drawn(worker, toy_wish())

    run(work, ProcessWorker(command=["/nowhere/python"]))


# ---------------------------------------------------------------- when nobody draws


async def ended(worker: ProcessWorker) -> None:
    while worker.pid is not None:
        await asyncio.sleep(0.01)


def test_an_idle_model_is_closed_after_its_time() -> None:
    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, toy_wish())
        pid = worker.pid
        assert pid is not None
        await ended(worker)
        assert worker.loaded is None
        assert await gone(pid)
        assert kinds(await drawn(worker, toy_wish(steps=1))) == ["Loading", "Step", "Drawn"]

    run(work, toy_worker(keep_alive_seconds=0.2, look_seconds=0.05))


def test_a_wish_may_have_its_model_closed_at_once_or_kept() -> None:
    async def work(worker: ProcessWorker) -> None:
        await drawn(worker, toy_wish(keep_alive=-1))
        await asyncio.sleep(0.3)
        assert worker.pid is not None
        await drawn(worker, toy_wish(keep_alive=0))
        assert worker.pid is None

    run(work, toy_worker(keep_alive_seconds=0.1, look_seconds=0.02))


def test_a_model_that_is_drawn_with_is_not_idle() -> None:
    async def work(worker: ProcessWorker) -> None:
        said = await drawn(worker, toy_wish("slow", steps=6))
        assert isinstance(said[-1], Drawn)

    run(work, toy_worker(keep_alive_seconds=0.0, look_seconds=0.01, memory_short=lambda: True))


def test_an_idle_model_is_closed_when_memory_gets_short() -> None:
    short = False

    async def work(worker: ProcessWorker) -> None:
        nonlocal short
        await drawn(worker, toy_wish())
        await asyncio.sleep(0.2)
        assert worker.pid is not None
        short = True
        await ended(worker)
        # ... and a wish that comes now is drawn all the same.
        assert isinstance((await drawn(worker, toy_wish()))[-1], Drawn)

    run(work, toy_worker(keep_alive_seconds=-1, look_seconds=0.02, memory_short=lambda: short))


def test_unloading_waits_for_the_wish_and_ends_the_process() -> None:
    async def work(worker: ProcessWorker) -> None:
        said: list[Told] = []
        drawing = asyncio.ensure_future(worker.draw(toy_wish(), said.append))
        await asyncio.sleep(0)
        await worker.unload()
        await drawing
        assert isinstance(said[-1], Drawn)
        assert worker.pid is None
        await worker.unload()

    run(work, toy_worker())


# ---------------------------------------------------------------- the process by itself


def start_process(**given: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(toy_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, **given)


def test_it_ends_when_its_input_does() -> None:
    process = start_process()
    assert process.stdout is not None
    ready = read_frame(process.stdout)
    assert ready is not None
    assert ready.header["tell"] == "ready"
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0


def test_it_ends_on_input_that_is_not_meant_for_it() -> None:
    process = start_process(stderr=subprocess.PIPE)
    _, said = process.communicate(b"GET / HTTP/1.1\r\n\r\n", timeout=DEADLINE_SECONDS)
    assert process.returncode == 2
    assert b"Traceback" not in said


def test_it_ends_in_the_midst_of_a_picture_when_its_input_does() -> None:
    process = start_process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(draw_frame(1, toy_wish("slow", steps=150, count=16), False).encoded())
    process.stdin.flush()
    while (frame := read_frame(process.stdout)) is not None and frame.header["tell"] != "step":
        pass
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")
def test_signals_to_the_whole_group_are_left_to_the_parent() -> None:
    process = start_process()
    assert process.stdout is not None
    read_frame(process.stdout)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    given = draw_frame(1, toy_wish(steps=1), False).encoded()
    assert process.stdin is not None
    process.stdin.write(given)
    process.stdin.flush()
    told = []
    while (frame := read_frame(process.stdout)) is not None and frame.header["tell"] != "end":
        told.append(frame)
    assert isinstance(read_told(told[-1]), Drawn)
    process.communicate(timeout=DEADLINE_SECONDS)


@linux
def test_the_kernel_would_take_it_rather_than_its_parent() -> None:
    process = start_process()
    assert process.stdout is not None
    read_frame(process.stdout)
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(Path(f"/proc/{process.pid}/oom_score_adj").read_text()) == max(own, 500)
    process.communicate(timeout=DEADLINE_SECONDS)


_PARENT = """
import asyncio, sys
sys.path[:0] = sys.argv[1:]
from tests.service.workers import toy_wish, toy_worker

async def main():
    worker = toy_worker()
    await worker.draw(toy_wish("slow", steps=150, count=16), lambda told: print(worker.pid, flush=True))

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
def test_a_parent_that_is_killed_leaves_no_orphan() -> None:
    repository = Path(__file__).parents[2]
    words = [sys.executable, "-c", _PARENT, str(repository), str(repository / "src")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        lines = (line.strip() for line in parent.stdout)
        # "None" is said of the loading, before there is a process.
        pid = int(next(line for line in lines if line.isdigit()))
        assert psutil.pid_exists(pid)
        parent.kill()
    assert asyncio.run(gone(pid))


def test_it_imports_nothing_from_the_folder_that_it_is_started_in(tmp_path: Path) -> None:
    for name in ("json", "queue", "nutshell", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of somebody else')")
    process = subprocess.Popen(
        worker_command(DrawSettings()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    ready = read_frame(process.stdout)
    assert ready is not None
    assert ready.header["tell"] == "ready"
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
