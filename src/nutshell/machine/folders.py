"""The folders that models are kept in and temporary files are written to."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Literal

from nutshell.machine.examination import FolderReport

_READ_BYTES = 64 << 20
_READ_SECONDS = 5.0
_BLOCK_BYTES = 4 << 20


def look_at(role: Literal["models", "temporary"], path: Path, *, measure: bool = False) -> FolderReport:
    """A folder and the disk below it; it need not be there yet. measure: write and read a file, up to 10 s."""
    existing = path
    while not existing.is_dir() and existing != existing.parent:
        existing = existing.parent
    try:
        total, _, free = shutil.disk_usage(existing)
    except OSError:
        total = free = None  # type: ignore[assignment]
    writable = os.access(existing, os.W_OK | os.X_OK)
    speed = read_speed(existing) if measure and writable and (free or 0) > 4 * _READ_BYTES else None
    return FolderReport(role, str(path), str(existing), writable, total, free, speed)


def read_speed(folder: Path) -> float | None:
    """Bytes a second that a fresh file is read with, past the system's cache where the system lets us.

    None if it could not be measured.
    """
    path = folder / f".nutshell-speed-{os.getpid()}"
    try:
        with path.open("wb") as stream:
            begun = time.monotonic()
            for _ in range(0, _READ_BYTES, _BLOCK_BYTES):
                stream.write(os.urandom(_BLOCK_BYTES))
                if time.monotonic() - begun > _READ_SECONDS:
                    break
            stream.flush()
            os.fsync(stream.fileno())
            size = stream.tell()
            if sys.platform == "linux":
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        begun = time.monotonic()
        read = 0
        with path.open("rb", buffering=0) as stream:
            while (block := stream.read(_BLOCK_BYTES)) and time.monotonic() - begun < _READ_SECONDS:
                read += len(block)
        return min(read, size) / max(time.monotonic() - begun, 1e-6)
    except OSError:
        return None
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
