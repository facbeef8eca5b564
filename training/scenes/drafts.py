"""Blueprints made in other processes, ahead of the one that draws: Python is what a GPU would wait for."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from random import Random
from types import TracebackType

from training.scenes.blueprint import Blueprint, Drafter
from training.scenes.sampler import Sampler
from training.scenes.scene import Scene
from training.scenes.world import World

AHEAD = 3  # batches waiting, per process


class Draftsman:
    """Makes batches: scenes by lot and their blueprint."""

    def __init__(self, world: World) -> None:
        self.sampler, self.drafter = Sampler(world), Drafter(world)

    def batch(self, seed: str, count: int) -> tuple[list[Scene], Blueprint]:
        """The same for the same seed."""
        random = Random(seed)
        scenes = [self.sampler.scene(random) for _ in range(count)]
        return scenes, self.drafter.draft(scenes)


class Drafts:
    """An endless row of batches, in a fixed order however many processes make them."""

    def __init__(self, world: World, seed: int, batch: int, processes: int) -> None:
        self.seed, self.batch, self.number = seed, batch, 0
        context = get_context("spawn")
        self._pool = ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=(world,))
        self._waiting: deque[Future[tuple[list[Scene], Blueprint]]] = deque()
        self._ahead = AHEAD * processes

    def __next__(self) -> tuple[list[Scene], Blueprint]:
        while len(self._waiting) < self._ahead:
            self._waiting.append(self._pool.submit(_draft, f"{self.seed}/{self.number}", self.batch))
            self.number += 1
        return self._waiting.popleft().result()

    def __iter__(self) -> Drafts:
        return self

    def __enter__(self) -> Drafts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


_of_this_process: list[Draftsman] = []  # filled in worker processes only, once


def _start_worker(world: World) -> None:
    _of_this_process.append(Draftsman(world))


def _draft(seed: str, count: int) -> tuple[list[Scene], Blueprint]:
    return _of_this_process[0].batch(seed, count)
