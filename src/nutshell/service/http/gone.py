"""A client that hangs up: nobody waits for its pictures any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from nutshell.service.queue import Queue

GONE_STATUS = 499  # nginx's code for it; nobody reads it

T = TypeVar("T")


class ClientGone(Exception):
    """The client hung up while it was waited for something."""


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. Raises ClientGone once the client has hung up; `work` is then cancelled.

    The request's body must have been read.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_hangs_up(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def cancel_all_the_same(queue: Queue, id: str) -> None:
    """Cancel a job from a task that is itself being cancelled, as a stream is whose client has gone."""
    stopping = asyncio.ensure_future(queue.cancel(id))
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.shield(stopping)


async def _hangs_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
