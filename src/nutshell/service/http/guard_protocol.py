"""uvicorn's connections, with an end to patience.

uvicorn waits for ever for a client that sends the first half of a request line, or that does not read its answer.
An application sees neither, so this is done where the bytes come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class _Timer:
    """Calls back once, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop, self._callback = loop, callback
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Begin to wait; where it waits already, nothing changes."""
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, self._ring)

    def stop(self) -> None:
        """Wait no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._callback()


class PatientProtocol(H11Protocol):
    """head_seconds: for a whole head of a request. read_seconds: for a client to read some of a long answer.

    close_seconds: from the end of a connection until what was not read is thrown away.
    """

    head_seconds = 15.0
    read_seconds = 60.0
    close_seconds = 10.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head = _Timer(self.loop, self._no_head)
        self._read = _Timer(self.loop, lambda: self.transport.abort())
        self._close = _Timer(self.loop, lambda: self.transport.abort())

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head of the first request has to come soon."""
        super().connection_made(transport)
        self._head.start(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Bytes that begin another request have to become one soon; those of a body are counted by `BodyLimit`."""
        super().data_received(data)
        if self._answering():
            self._head.stop()
        elif self.transport.is_closing():
            self._close.start(self.close_seconds)
        else:
            self._head.start(self.head_seconds)

    def on_response_complete(self) -> None:
        """What comes next is another request, or the end (`timeout_keep_alive`)."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close.start(self.close_seconds)

    def timeout_keep_alive_handler(self) -> None:
        """Close what is idle."""
        super().timeout_keep_alive_handler()
        self._close.start(self.close_seconds)

    def pause_writing(self) -> None:
        """The client does not read as fast as the answer comes."""
        super().pause_writing()
        self._read.start(self.read_seconds)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._read.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        for timer in (self._head, self._read, self._close):
            timer.stop()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _no_head(self) -> None:
        if self._answering() or self.timeout_keep_alive_task is not None:
            return  # a request came, or uvicorn itself waits for the next
        if not self.transport.is_closing():
            self.transport.close()
        self._close.start(self.close_seconds)
