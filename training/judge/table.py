"""The log of a training as a table that a spreadsheet opens."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from threading import Lock

EVERY_STEPS = 100


class Table:
    """Averages values over steps and appends a row now and then; also from several threads."""

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._steps = 0
        self._start = time.monotonic()
        self._lock = Lock()
        if not resume:
            path.unlink(missing_ok=True)

    def add(self, **values: float) -> None:
        """Count values towards the row to come."""
        with self._lock:
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1

    def step(self, share: float) -> None:
        """Count a step at `share` of the time; writes the row when it is due."""
        self._steps += 1
        if self._steps % EVERY_STEPS or not self._sums:
            return
        with self._lock:
            means = {name: self._sums[name] / self._counts[name] for name in sorted(self._sums)}
            self._sums, self._counts = {}, {}
        row = {"step": self._steps, "seconds": round(time.monotonic() - self._start), "share": round(share, 4)}
        row |= {name: round(value, 5) for name, value in means.items()}
        is_new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if is_new:
                writer.writeheader()
            writer.writerow(row)
