"""Server-sent events: their form, the pauses between them, and what is left when nobody listens any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from nutshell.service.http.sse import HEARTBEAT, frame, with_pauses
from tests.service.serving import Served
from tests.service.toy import ToyWorker

Serve = Callable[..., Served]


def test_a_frame_is_one_event_whatever_it_holds() -> None:
    data = {"text": "two\nlines\r\n\r\ndata: evil \u2028 苹果"}
    raw = frame(data, "step", "7").decode()
    *lines, empty, nothing = raw.split("\n")
    assert (empty, nothing) == ("", "")
    assert lines[:2] == ["event: step", "id: 7"]
    assert "\r" not in raw
    assert json.loads(lines[2].removeprefix("data: ")) == data
    assert frame({}).decode() == "data: {}\n\n"
    assert HEARTBEAT.startswith(b":")


def test_pauses_are_told_and_no_item_is_lost() -> None:
    async def run() -> list[int | None]:
        go = asyncio.Event()

        async def items() -> AsyncIterator[int]:
            yield 1
            await go.wait()
            yield 2

        seen: list[int | None] = []
        async for item in with_pauses(items(), 0.01):
            seen.append(item)
            if seen.count(None) == 3:
                go.set()
        return seen

    seen = asyncio.run(run())
    assert seen[:4] == [1, None, None, None]
    assert [item for item in seen if item is not None] == [1, 2]


def test_closing_closes_what_is_listened_to() -> None:
    async def run() -> list[str]:
        said = []

        async def items() -> AsyncIterator[int]:
            try:
                yield 1
                await asyncio.Event().wait()
            finally:
                said.append("closed")

        listening = with_pauses(items(), 0.01)
        assert [await anext(listening), await anext(listening)] == [1, None]
        await listening.aclose()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
        return said

    assert asyncio.run(run()) == ["closed"]


def test_what_is_raised_comes_through() -> None:
    async def run() -> None:
        async def items() -> AsyncIterator[int]:
            yield 1
            raise RuntimeError("broken")

        async for _ in with_pauses(items(), 1.0):
            pass

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(run())


def test_whoever_stops_listening_leaves_nothing_behind(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))
    with served.client() as client:
        job = client.post("/api/jobs", json={"prompt": "x", "steps": 100}).json()

        async def tasks() -> int:
            return len(asyncio.all_tasks())

        async def settled(most: int) -> int:
            for _ in range(600):
                if len(asyncio.all_tasks()) <= most:
                    break
                await asyncio.sleep(0.05)
            return len(asyncio.all_tasks())

        before = served.call(tasks())
        for _ in range(5):
            with client.stream("GET", job["links"]["events"]) as answer:
                next(answer.iter_lines())
        assert served.call(settled(before)) <= before
        # The one who only looked on has not stopped it.
        assert client.get(job["links"]["self"]).json()["state"] == "running"
        client.delete(job["links"]["self"])
