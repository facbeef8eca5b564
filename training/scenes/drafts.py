"""Blueprints made in other processes, ahead of the one that draws: Python is what a GPU would wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count, islice
from multiprocessing import get_context
from random import Random
from types import TracebackType

from training.scenes.blueprint import Blueprint, Drafter
from training.scenes.sampler import Sampler
from training.scenes.scene import Scene

AHEAD = 3  # batches waiting, per process


class Draftsman:
    """Makes batches: scenes by lot and their blueprint."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self.drafter = sampler, Drafter(sampler.world)

    def batch(self, seed: str, count: int) -> tuple[list[Scene], Blueprint]:
        """The same for the same seed."""
        random = Random(seed)
        scenes = [self.sampler.scene(random) for _ in range(count)]
        return scenes, self.drafter.draft(scenes)


class Drafts:
    """Batches in a fixed order, however many processes make them: those of `numbers`, or an endless row."""

    def __init__(
        self, sampler: Sampler, seed: int | str, batch: int, processes: int, numbers: Iterable[int] | None = None
    ) -> None:
        self.seed, self.batch = seed, batch
        self._numbers = iter(count() if numbers is None else numbers)
        context = get_context("spawn")
        self._pool = ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=(sampler,))
        self._waiting: deque[Future[tuple[list[Scene], Blueprint]]] = deque()
        self._ahead = AHEAD * processes

    def __next__(self) -> tuple[list[Scene], Blueprint]:
        for number in islice(self._numbers, self._ahead - len(self._waiting)):
            self._waiting.append(self._pool.submit(_draft, f"{self.seed}/{number}", self.batch))
        if not self._waiting:
            raise StopIteration
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


def _start_worker(sampler: Sampler) -> None:
    _of_this_process.append(Draftsman(sampler))


def _draft(seed: str, count: int) -> tuple[list[Scene], Blueprint]:
    return _of_this_process[0].batch(seed, count)
