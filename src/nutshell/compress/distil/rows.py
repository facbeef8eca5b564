"""An array on disk that grows row by row and is mapped, not held; rows that were finished are kept."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.errors import Shape
from nutshell.files import output_error, write_bytes

Array = npt.NDArray[Any]


class Rows:
    """float16 (rows, *shape) in `path`. done: how many rows are finished. Raises OutputError."""

    def __init__(self, path: Path, rows: int, shape: Shape) -> None:
        self._path, self._count = path, path.with_suffix(".count")
        self._array: np.memmap[Any, Any]
        self.done = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError, ValueError):
                whole = np.lib.format.open_memmap(path, mode="r+")
                if whole.shape == (rows, *shape):
                    self.done = min(int(self._count.read_text()), rows)
            if self.done:
                self._array = np.lib.format.open_memmap(path, mode="r+")
            else:
                self._array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(rows, *shape))
        except OSError as error:
            raise output_error(path, error) from error

    def add(self, values: Array) -> None:
        """Write the next rows."""
        end = self.done + len(values)
        try:
            self._array[self.done : end] = values
            self._array.flush()
        except OSError as error:
            raise output_error(self._path, error) from error
        self.done = end
        write_bytes(self._count, str(end).encode())

    @property
    def missing(self) -> range:
        """The rows that are not written yet."""
        return range(self.done, len(self._array))

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, places: Any) -> npt.NDArray[np.float32]:
        """Rows, in float32."""
        return np.asarray(self._array[places], np.float32)
