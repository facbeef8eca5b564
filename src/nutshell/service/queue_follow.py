"""Those who follow a job: each reads as fast as it can, none holds up the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from nutshell.service.job import ENDED, Event

_MOST = 64  # events that wait for one reader
# What a newer event makes worthless.
_REPLACED = frozenset({"queued", "loading", "step", "preview"})


class Mailbox:
    """Events on their way to one reader. Pictures and endings are never dropped; of previews only the newest waits."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """Never waits, and holds no more than `_MOST` events but for pictures and the end."""
        if event.kind == "preview":
            self._drop(lambda waiting: waiting.kind == "preview")
        if len(self._events) >= _MOST:
            self._drop(lambda waiting: waiting.kind in _REPLACED)
        self._events.append(event)
        if event.kind in ENDED:
            self._closed = True
        self._news.set()

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._news.set()

    async def get(self) -> Event | None:
        """The next event, None after the last."""
        while not self._events:
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()

    def _drop(self, worthless: Callable[[Event], bool]) -> None:
        """The oldest of that kind."""
        for place, event in enumerate(self._events):
            if worthless(event):
                del self._events[place]
                return
