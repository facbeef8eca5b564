"""How the guard says no: in the form of the face that was asked."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from nutshell.service.http.errors import Trouble, tell_native
from nutshell.service.http.faces import FACES

_DRAIN_SECONDS = 3.0


def refusal(scope: Scope, trouble: Trouble) -> Response:
    """The answer of the face whose address was asked."""
    request = Request(scope)
    for prefix, tell in FACES.items():
        if scope["path"].startswith(prefix):
            return tell(request, trouble)
    return tell_native(request, trouble)


async def refuse(scope: Scope, receive: Receive, send: Send, trouble: Trouble) -> None:
    """Send it."""
    await refusal(scope, trouble)(scope, receive, send)


async def refuse_body(scope: Scope, receive: Receive, send: Send, trouble: Trouble, *, most: int) -> None:
    """Send it and close, though a body is still coming.

    Many clients read no answer before all is sent, and see a broken connection instead. So the rest is read for a
    moment, up to `most` bytes, and forgotten.
    """
    response = refusal(scope, trouble)
    response.headers["Connection"] = "close"
    start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    await send(start)
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_drained(receive, most), _DRAIN_SECONDS)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drained(receive: Receive, most: int) -> None:
    size, more = 0, True
    while more and size < most:
        message = await receive()
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
