"""A ceiling over mapped weights: their pages are handed back while a network runs, before there are too many."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_STATM = Path("/proc/self/statm")
# Faulting in pages that lie in the page cache brings some two gigabytes a second: twenty megabytes between two looks.
_LOOK_SECONDS = 0.01
_MARGIN_BYTES = 40_000_000
# Fewer pages than this are not worth the faults that bring them back.
_LEAST_BYTES = 24_000_000


@contextlib.contextmanager
def page_window(ceiling_bytes: int, release: Callable[[], None]) -> Iterator[None]:
    """Call `release`, which drops the pages of mapped files, whenever the block nears the ceiling.

    Pages come back from the page cache or the disk when they are touched, so this costs time and never a result. A
    control group that is full does the same by itself; this holds the promise where there is none. Does nothing where
    the system does not tell how much is resident.
    """
    if not _STATM.exists():
        yield
        return
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ceiling_bytes, release, done), name="page window", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(ceiling_bytes: int, release: Callable[[], None], done: threading.Event) -> None:
    _, least = _resident()
    while not done.wait(_LOOK_SECONDS):
        resident, mapped = _resident()
        least = min(least, mapped)
        if resident > ceiling_bytes - _MARGIN_BYTES and mapped - least > _LEAST_BYTES:
            release()


def _resident() -> tuple[int, int]:
    """Bytes of this process in memory, and those of them that are pages of files."""
    fields = _STATM.read_bytes().split()
    page = os.sysconf("SC_PAGE_SIZE")
    return int(fields[1]) * page, int(fields[2]) * page
