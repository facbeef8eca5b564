"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from fastapi.responses import StreamingResponse

HEARTBEAT_SECONDS = 10.0
HEARTBEAT = b": still here\n\n"
# Proxies such as nginx hold events back until a buffer is full, unless they are told not to.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

T = TypeVar("T")


def frame(data: Mapping[str, Any], event: str = "", id: str = "") -> bytes:
    """One event. JSON has no line breaks of its own, so one line of data does."""
    lines = [f"{name}: {value}\n" for name, value in (("event", event), ("id", id)) if value]
    return f"{''.join(lines)}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def events_response(frames: AsyncIterator[bytes]) -> StreamingResponse:
    """Frames as they come. The generator is closed when the client goes."""
    return StreamingResponse(frames, media_type="text/event-stream", headers=HEADERS)


async def with_pauses(items: AsyncIterator[T], seconds: float = HEARTBEAT_SECONDS) -> AsyncGenerator[T | None, None]:
    """The items, and None for each `seconds` in which none came. Whoever has no more use for it closes it."""
    pending = asyncio.ensure_future(anext(items))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=seconds)
            if not done:
                yield None
                continue
            try:
                item = pending.result()
            except StopAsyncIteration:
                return
            pending = asyncio.ensure_future(anext(items))
            yield item
    finally:
        pending.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await pending
        if isinstance(items, AsyncGenerator):
            await items.aclose()
