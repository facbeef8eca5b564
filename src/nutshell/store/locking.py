"""Of several processes, one at a time changes a store.

The system's own locks, which end with the process however it dies: flock on Unix, msvcrt.locking on Windows. Nobody
needs one to read, for every file takes its name in one step.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nutshell.language import tr
from nutshell.store.disk import telling

LOCK_NAME = ".lock"
POLL_SECONDS = 0.1
_BUSY = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(folder: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of a store. on_wait: called once if another process holds it. Raises StoreError."""
    with telling(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        told = False
        while not _take(handle):
            if not told and on_wait is not None:
                on_wait()
            told = True
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    """Take the lock if it is free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        # Some network disks know no locks. Temporary files have names of their own, so little can go wrong.
        _LOG.warning(tr("this disk knows no locks: do not change the store from two programs at once"))
    return True
