"""Frames, idle times, previews and settings of the worker, without a process."""

from __future__ import annotations

import asyncio
import io
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nutshell.errors import Cancelled, NotEnoughMemory, UsageError
from nutshell.language import tr
from nutshell.machine import Memory, machine_with
from nutshell.pipeline import OnStep, Picture, Progress, Request
from nutshell.service.wish import Wish
from nutshell.service.worker import Drawn, Loading, Step, Told
from nutshell.service.worker_child import death_words
from nutshell.service.worker_frames import Frame, FrameError, read_frame, receive_frame
from nutshell.service.worker_idle import Idle, memory_is_short
from nutshell.service.worker_messages import (
    OUT_OF_MEMORY,
    draw_frame,
    fault_frame,
    read_draw,
    read_fault,
    read_told,
    told_frame,
)
from nutshell.service.worker_process import Desk
from nutshell.service.worker_settings import DrawSettings
from nutshell.service.worker_studio import Previews, Seldom, Studio
from nutshell.settings import resolve

HEADERS = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key != "blobs"), st.none() | st.integers() | st.text(max_size=20), max_size=4
)


async def received(data: bytes) -> Frame | None:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return await receive_frame(stream)


@given(HEADERS, st.lists(st.binary(max_size=50), max_size=3))
def test_a_frame_is_read_as_it_was_written(header: dict[str, object], blobs: list[bytes]) -> None:
    frame = Frame(header, blobs)
    stream = io.BytesIO(frame.encoded() * 2)
    assert [read_frame(stream), read_frame(stream), read_frame(stream)] == [frame, frame, None]
    assert asyncio.run(received(frame.encoded())) == frame


@given(st.binary(min_size=1, max_size=200))
def test_garbage_is_no_frame(data: bytes) -> None:
    """It is told by an error of our own, whatever the bytes, and the same on both sides."""

    def read() -> Frame | None:
        return read_frame(io.BytesIO(data))

    outcomes = []
    for take in (read, lambda: asyncio.run(received(data))):
        try:
            outcomes.append(take())
        except FrameError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


class Ended(Exception):
    pass


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (b"", 0),
        (Frame({"do": "cancel", "number": 1}).encoded(), 0),
        (b"GET / HTTP/1.1\r\n\r\n", 2),
        (b"\xff\xff\xff\xff", 2),
        (b"\0\0\0\2{}", 2),
        (b"\0\0\0\2[]", 2),
        (b"\0\0", 2),
        (b'\0\0\0\x0f{"blobs": [-1]}', 2),
        (Frame({"do": "dance"}).encoded(), 2),
        (Frame({"do": "cancel", "number": "many"}).encoded(), 2),
        (Frame({}).encoded(), 2),
    ],
)
def test_the_process_ends_with_its_input_and_by_garbage(given: bytes, status: int) -> None:
    def end(code: int) -> None:
        raise Ended(code)

    with pytest.raises(Ended) as ended:
        Desk(Studio(DrawSettings()), io.BytesIO(), end).listen(io.BytesIO(given))
    assert ended.value.args == (status,)


@pytest.mark.parametrize("cut", [1, 3, 4, 10, -1])
def test_a_frame_that_is_cut_is_an_error(cut: int) -> None:
    whole = Frame({"tell": "picture"}, [b"12345"]).encoded()
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(whole[:cut]))
    with pytest.raises(FrameError):
        asyncio.run(received(whole[:cut]))


def test_no_length_is_believed_that_no_frame_of_ours_has() -> None:
    with pytest.raises(FrameError):
        read_frame(io.BytesIO((2**31).to_bytes(4, "big")))
    header = b'{"blobs": [1000000000000]}'
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(len(header).to_bytes(4, "big") + header))


@pytest.mark.parametrize("pictures", [{}, {"image": b"i"}, {"image": b"i", "mask": b"m"}, {"mask": b"m"}])
def test_an_order_is_read_as_it_was_given(pictures: dict[str, bytes]) -> None:
    wish = Wish("a 猫", "artist", steps=3, keep_alive=1.5, seed=2**32 - 1, **pictures)
    frame = read_frame(io.BytesIO(draw_frame(7, wish, True).encoded()))
    assert frame is not None
    assert read_draw(frame) == (7, wish, True)


@pytest.mark.parametrize("told", [Loading("m"), Step(1, 4, 2, 3, 1.5, b"jpeg"), Drawn(1, b"png", {"seed": 3})])
def test_what_is_told_is_read_as_it_was_said(told: Told) -> None:
    frame = read_frame(io.BytesIO(told_frame(told).encoded()))
    assert frame is not None
    assert read_told(frame) == told


def test_a_fault_keeps_its_class_and_sentences() -> None:
    error = read_fault(fault_frame(NotEnoughMemory(2_000_000_000, 1_000_000_000, tr("try less"))))
    assert isinstance(error, NotEnoughMemory)
    assert error.message.values["need"] == 2000
    assert error.hint == "try less"
    wrong = read_fault(fault_frame(UsageError(tr("no {name}", name="such"), field="steps")))
    assert isinstance(wrong, UsageError)
    assert (wrong.field, wrong.message.template) == ("steps", "no {name}")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-signal.SIGKILL, "memory"),
        (-signal.SIGSEGV, "crashed"),
        (-signal.SIGILL, "instruction"),
        (OUT_OF_MEMORY, "ran out of memory"),
        (1, "exit code 1"),
    ],
)
def test_a_death_has_a_sentence(code: int, words: str) -> None:
    assert words in death_words(code)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_model_is_kept_for_its_time() -> None:
    clock = Clock()
    idle = Idle(300, clock)
    assert not idle.over
    idle.begin()
    clock.now += 299
    assert not idle.over
    assert idle.seconds_left == 1
    clock.now += 1
    assert idle.over
    idle.end()
    assert not idle.over
    idle.begin(-1)
    clock.now += 1e9
    assert not idle.over
    idle.begin(0)
    assert idle.over
    kept = Idle(-1, clock)
    kept.begin()
    assert not kept.over


@pytest.mark.parametrize(
    ("memory", "short"),
    [
        (Memory(total_bytes=4000, available_bytes=2000), False),
        (Memory(total_bytes=4000, available_bytes=399), True),
        (Memory(total_bytes=4000, available_bytes=2000, cgroup_limit_bytes=1000, cgroup_used_bytes=950), True),
        (Memory(total_bytes=4000, available_bytes=2000, cgroup_limit_bytes=1000, cgroup_used_bytes=500), False),
        (Memory(), False),
    ],
)
def test_memory_is_short_below_a_tenth(memory: Memory, short: bool, tmp_path: Path) -> None:
    machine = replace(machine_with(usable_bytes=4000), memory=memory)
    assert memory_is_short(machine, tmp_path / "none") is short


@pytest.mark.parametrize(("stalled", "short"), [("0.00", False), ("4.99", False), ("17.30", True), ("?", False)])
def test_memory_is_short_where_the_system_stalls(stalled: str, short: bool, tmp_path: Path) -> None:
    pressure = tmp_path / "memory"
    some = "some avg10=60.00 avg60=0.00 avg300=0.00 total=0\n"
    pressure.write_text(f"{some}full avg10={stalled} avg60=0.00 avg300=0.00 total=0\n")
    machine = replace(machine_with(usable_bytes=4000), memory=Memory(total_bytes=4000, available_bytes=2000))
    assert memory_is_short(machine, pressure) is short


def test_previews_cost_little_time() -> None:
    clock = Clock()
    previews = Previews(clock)
    cost = 0.001

    def preview() -> Image.Image:
        clock.now += cost
        return Image.new("RGB", (8, 8))

    made = 0
    for _ in range(1000):
        clock.now += 0.01
        made += bool(previews.take(preview))
    # Ten seconds, five a second.
    assert 40 <= made <= 50
    cost, begun, spent = 0.5, clock.now, 0.0
    while clock.now < begun + 100:
        clock.now += 0.1
        spent += cost if previews.take(preview) else 0
    assert spent <= 0.04 * 100


def test_steps_of_a_quick_model_are_told_now_and_then() -> None:
    clock = Clock()
    seldom = Seldom(clock)
    told = 0
    for _ in range(1000):
        clock.now += 0.001
        told += seldom.due()
    # One second, twenty a second.
    assert 18 <= told <= 21
    clock.now += 0.06
    assert seldom.due()


class Counting:
    """A model of a hundred steps that takes no time; done: how many of them."""

    def __init__(self) -> None:
        self.done = 0

    def draw(self, request: Request, on_step: OnStep) -> Iterator[Picture]:
        for step in range(1, 101):
            self.done = step
            on_step(Progress(step, 100, 1, 1, 0.1 * step, 1.0, lambda: Image.new("RGB", (8, 8))))
        yield Picture(Image.new("RGB", (8, 8)), 1, {}, 1.0, 0)

    def close(self) -> None:
        pass


def test_a_cancel_is_heeded_at_every_step_and_the_last_step_is_told() -> None:
    model = Counting()
    studio = Studio(DrawSettings(), lambda settings, name, leaner: model)  # type: ignore[arg-type,return-value]
    with pytest.raises(Cancelled):
        studio.draw(Wish("p", "m"), False, lambda told: None, lambda: model.done == 3)
    assert model.done == 3
    said: list[Told] = []
    studio.draw(Wish("p", "m"), False, said.append, lambda: False)
    steps = [told.step for told in said if isinstance(told, Step)]
    assert steps[0] == 1
    assert steps[-1] == 100


def test_another_precision_opens_the_model_anew() -> None:
    opened: list[tuple[str, str | None]] = []

    def open(settings: DrawSettings, name: str, leaner: bool) -> Counting:
        opened.append((name, settings.precision))
        return Counting()

    studio = Studio(DrawSettings(precision="f32"), open)  # type: ignore[arg-type]
    for precision in (None, None, "int8", "int8", None):
        studio.draw(Wish("p", "m", precision=precision), False, lambda told: None, lambda: False)
    assert opened == [("m", "f32"), ("m", "int8"), ("m", "f32")]


def test_settings_pass_to_the_process_whole() -> None:
    settings = resolve(
        {"threads": "3", "models": "/m", "embedding": ["/e/a.safetensors"], "sticks": False, "max_memory": "1G"}
    )
    given = DrawSettings.of(settings)
    assert (given.threads, given.max_memory) == (3, 10**9)
    assert given.embeddings == ("/e/a.safetensors",)
    assert DrawSettings.from_json(given.to_json()) == given
    assert given.places.yours == Path("/m")
    assert list(given.places.sticks()) == []


def test_compiled_networks_are_kept_where_that_is_asked_for_but_not_with_amnesia() -> None:
    asked = {"compile_cache": "yes", "compile_cache_limit": "1G"}
    assert DrawSettings.of(resolve(asked)).compile_cache == 10**9
    assert DrawSettings.of(resolve({**asked, "amnesia": "yes"})).compile_cache == 0
    assert DrawSettings.of(resolve({"compile_cache_limit": "1G"})).compile_cache == 0
