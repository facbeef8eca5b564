"""The jobs that have not ended: who waits, in which order, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from nutshell.service.job import Event
from nutshell.service.queue_drawing import Drawing
from nutshell.service.queue_entry import Entry
from nutshell.service.queue_order import fair_order
from nutshell.service.queue_pace import Pace

MOST_CLIENTS = 10_000  # whose turns are remembered


class Line:
    """entries: by id. drawing: what is drawn now. pace: what is known of how long that takes."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.drawing: Drawing | None = None
        self.pace = Pace()
        self._served: dict[str, int] = {}
        self._turn = 0
        self._order: list[list[Entry]] | None = None
        self._places: dict[str, int] = {}
        self._telling = False

    @property
    def waiting(self) -> int:
        """How many jobs are queued."""
        return sum(entry.job.state == "queued" for entry in self.entries.values())

    @property
    def running(self) -> str | None:
        """The id of the job that is drawn now."""
        drawing = self.drawing
        return drawing.members[0].job.id if drawing is not None and drawing.members else None

    def remember(self, served: dict[str, int]) -> None:
        """At which turn each client was served last, longest ago first."""
        self._served = served
        self._turn = max(served.values(), default=0)

    def next_turn(self) -> None:
        """The next of the order is served."""
        self._turn += 1

    def serve(self, clients: Iterable[str]) -> int:
        """These have their turn; its number."""
        for client in clients:
            self._served.pop(client, None)
            self._served[client] = self._turn
        while len(self._served) > MOST_CLIENTS:
            # Whoever is forgotten counts as never served, which is next to longest ago.
            del self._served[next(iter(self._served))]
        return self._turn

    def moved(self) -> None:
        """The order is another; those who wait are told, once for all changes of one turn of the event loop."""
        self._order = None
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self.tell)

    def order(self) -> list[list[Entry]]:
        """The drawings to come, each with the jobs that it serves."""
        if self._order is None:
            waiting = [e for e in self.entries.values() if e.job.state == "queued" and not e.ending]
            groups = fair_order([entry.record for entry in waiting], self._served)
            self._order = [[self.entries[record.job.id] for record in group] for group in groups]
            first = 1 if self.running else 0
            self._places = {e.job.id: place for place, group in enumerate(self._order, first) for e in group}
        return self._order

    def position(self, id: str) -> int:
        """How many jobs are served before this one."""
        self.order()
        return self._places.get(id, 0)

    def tell(self, asking: Entry | None = None) -> None:
        """Tell those whose position or note is another; bring up to date what `asking` is about to read."""
        self._telling = False
        seconds: float | None = self.seconds_left() if self.running else 0.0
        for group in self.order():
            own = self.pace.seconds(group[0].job.wish)
            seconds = None if seconds is None or own is None else seconds + own
            for entry in group:
                note = entry.job.notes[-1] if entry.job.notes else None
                place = self._places[entry.job.id]
                event = Event("queued", "", position=place, seconds_left=seconds, note=note)
                if entry.told != (place, note):
                    entry.told = place, note
                    entry.publish(event)
                elif entry is asking:
                    entry.remember(event)

    def seconds_left(self) -> float | None:
        """Of what is drawn now."""
        drawing = self.drawing
        if drawing is None or not drawing.members:
            return None
        if drawing.left is None:
            return self.pace.seconds(drawing.members[0].job.wish)
        left, at = drawing.left
        return max(0.0, left - (time.monotonic() - at))
