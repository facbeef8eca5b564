"""Worker processes for tests: one with the built-in model, and one without an engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from nutshell.service.wish import Wish
from nutshell.service.worker import Told
from nutshell.service.worker_settings import DrawSettings
from nutshell.service.worker_supervisor import ProcessWorker

_REPOSITORY = Path(__file__).parents[2]
# As the service starts the real one, away from the folder that the tests run in.
_START = (
    "import sys; sys.path[:0] = sys.argv.pop(1).split('|'); import runpy; runpy.run_module({!r}, run_name='__main__')"
)
DEADLINE_SECONDS = 120.0


def toy_command() -> list[str]:
    """Starts `toy_process`."""
    paths = "|".join((str(_REPOSITORY), str(_REPOSITORY / "src")))
    return [sys.executable, "-c", _START.format("tests.service.toy_process"), paths]


def toy_worker(**given: Any) -> ProcessWorker:
    """A worker whose process paints without an engine."""
    return ProcessWorker(command=toy_command(), **{"memory_short": lambda: False, **given})


def real_worker(**given: Any) -> ProcessWorker:
    """A worker that draws with the built-in model; nothing is learned from it."""
    return ProcessWorker(DrawSettings(learn=False, threads=1), **{"memory_short": lambda: False, **given})


def toy_wish(prompt: str = "a cat", **given: Any) -> Wish:
    return Wish(prompt, "toy", **{"width": 64, "height": 64, "seed": 1, **given})


async def drawn(worker: ProcessWorker, wish: Wish, **given: Any) -> list[Told]:
    """All that is told of a drawing."""
    said: list[Told] = []
    await asyncio.wait_for(worker.draw(wish, said.append, **given), DEADLINE_SECONDS)
    return said


def run(work: Callable[[ProcessWorker], Any], worker: ProcessWorker) -> None:
    """Do `work` with a worker on a loop of its own; its process is gone afterwards."""

    async def whole() -> None:
        try:
            await asyncio.wait_for(work(worker), DEADLINE_SECONDS)
        finally:
            await worker.close(0)

    asyncio.run(whole())


async def gone(pid: int) -> bool:
    """Whether a process ends within the deadline. One that nobody has buried yet has ended too."""
    for _ in range(int(DEADLINE_SECONDS / 0.05)):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.05)
    return False
