"""How large a body may be, and how slowly it may come."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nutshell.language import tr
from nutshell.service.http.errors import HttpTrouble, Trouble
from nutshell.service.http.guard_answers import refuse_body

_PATIENCE_SECONDS = 20.0
_LEAST_BYTES_A_SECOND = 10_000
_DRAINED = 4  # times the largest body
_LONGEST_NUMBER = 18  # digits; Python refuses to read thousands


class BodyLimit:
    """413 for more than `most` bytes, as soon as they are counted; 408 for a body that hardly comes.

    patience_seconds: what any body may take; each 10 kB give one more.
    """

    def __init__(self, app: ASGIApp, most: int, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._app, self._most, self._patience = app, most, patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, counting what is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > _LONGEST_NUMBER or int(announced) > self._most):
            await refuse_body(scope, receive, send, self._too_large(), most=self._most * _DRAINED)
            return
        body = _Body(receive, self._most, self._patience)
        started = False

        async def answered(message: Message) -> None:
            nonlocal started
            # A face may take the exception for a body that it cannot read, and say so: the reason is better.
            if body.fault is not None and not started:
                return
            started = True
            await send(message)

        try:
            await self._app(scope, body.receive, answered)
        except HttpTrouble:
            if body.fault is None:
                raise
        if body.fault is not None and not started:
            trouble = self._too_large() if body.fault == 413 else _too_slow()
            coming = body.fault == 413 and not body.whole
            await refuse_body(scope, receive, send, trouble, most=self._most * _DRAINED if coming else 0)

    def _too_large(self) -> Trouble:
        message = tr("the body is larger than the {most:.0f} MB that this service takes", most=self._most / 1e6)
        return Trouble(413, "too_large", message, tr("send a smaller picture"))


class _Body:
    """What is left of one request's body. whole: nothing of it is left.

    fault: the status to answer with where it was too much or too slow.
    """

    def __init__(self, receive: Receive, most: int, patience_seconds: float) -> None:
        self._receive, self._most = receive, most
        self._until = time.monotonic() + patience_seconds
        self._size, self.whole = 0, False
        self.fault: int | None = None

    async def receive(self) -> Message:
        """As the server's, within limits. Raises HttpTrouble."""
        if self.whole:
            return await self._receive()
        seconds = self._until + self._size / _LEAST_BYTES_A_SECOND - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(seconds, 0.001))
        except asyncio.TimeoutError:
            self.fault = 408
            raise HttpTrouble.of(_too_slow()) from None
        self._size += len(message.get("body", b""))
        self.whole = message["type"] != "http.request" or not message.get("more_body", False)
        if self._size > self._most:
            self.fault = 413
            raise HttpTrouble(413)
        return message


def _too_slow() -> Trouble:
    return Trouble(408, "too_slow", tr("the body came too slowly"), tr("try again on a better connection"))
