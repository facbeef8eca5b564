"""A file for what is computed once and read often: its pages may go when memory is short, unlike an array's."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nutshell.errors import EngineError, os_reason
from nutshell.language import tr

# Engines read whole cache lines.
_ALIGNMENT = 64
# What is written waits in memory that cannot be freed, so it is not let grow.
_UNWRITTEN_BYTES = 32 << 20


class Scratch:
    """A nameless file in a folder, gone with the last map of it. Arrays are appended, and then it is mapped.

    It is made for the first of them. Raises EngineError where that cannot be done, for a full disk say.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._end = 0
        self._unwritten = 0

    def append(self, array: npt.NDArray[Any]) -> int:
        """Write it at the end; where it begins, in bytes."""
        start = -(-self._end // _ALIGNMENT) * _ALIGNMENT
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - it stays open
            self._file.write(bytes(start - self._end))
            self._file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            self._unwritten += array.nbytes
            if self._unwritten > _UNWRITTEN_BYTES:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._unwritten = 0
        except OSError as error:
            raise self._broken(error) from error
        self._end = start + array.nbytes
        return start

    def mapped(self) -> mmap.mmap | None:
        """A map of all of it, None where there is nothing; the file itself is closed."""
        if self._file is None:
            return None
        try:
            self._file.flush()
            found = mmap.mmap(self._file.fileno(), self._end, access=mmap.ACCESS_READ)
            self._file.close()
        except (OSError, ValueError) as error:
            raise self._broken(error) from error
        return found

    def _broken(self, error: Exception) -> EngineError:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        return EngineError(
            tr("eight-bit weights cannot be kept in {folder}: {reason}", folder=self._folder, reason=reason),
            tr("free some disk space, or leave --precision int8 out"),
        )


def drop_pages(mapped: mmap.mmap) -> None:
    """They come back from the disk when touched. A no-op but on Linux."""
    if sys.platform == "linux" and not mapped.closed:
        mapped.madvise(mmap.MADV_DONTNEED)
