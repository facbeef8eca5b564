"""Watching the machine while a stage is loaded: a desktop that freezes is worse than a picture that takes longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nutshell.errors import MemoryPressure
from nutshell.language import Text, tr
from nutshell.machine.pressure import Judge, Pressure, read_pressure

_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Watch:
    """read: what the machine tells of memory now, None where it does not. clock: seconds. every: between two looks."""

    read: Callable[[], Pressure | None] = read_pressure
    clock: Callable[[], float] = time.monotonic
    every: float = _LOOK_SECONDS

    @contextmanager
    def over(self, read_bytes: int, release: Callable[[], None]) -> Iterator[None]:
        """Watch while the block loads something; MemoryPressure at its end if memory became too short in it.

        An engine cannot be stopped while it compiles. So `release`, which drops pages of mapped files, is called at
        once, and what was compiled is given up after. read_bytes: of those files.
        """
        first = self.read()
        if first is None:
            yield
            return
        judge, done, found = Judge(read_bytes), threading.Event(), list[Text]()
        judge.look(self.clock(), first)

        def watch() -> None:
            while not done.wait(self.every):
                pressure = self.read()
                wrong = judge.look(self.clock(), pressure) if pressure is not None else None
                if wrong is not None:
                    found.append(wrong)
                    release()
                    return

        watcher = threading.Thread(target=watch, name="memory pressure", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        if found:
            hint = tr("close other programs, or ask for a smaller size or model")
            raise MemoryPressure(tr("loading was stopped: {reason}", reason=found[0]), hint)


CALM = Watch(read=lambda: None)
