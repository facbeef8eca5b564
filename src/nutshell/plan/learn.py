"""What runs really took corrects the next estimate: one ratio of measured to predicted for each kind of run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nutshell.plan.kept import positive, read_table, state_folder, write_table

FILE = "ratios.json"
# One odd run (a busy machine, a swapped-out one) must not turn the plan over.
DAMPING = 0.5
LEAST, MOST = 0.5, 2.0
_MOST_ROWS = 500


@dataclass(frozen=True)
class Ratio:
    """Measured over predicted, of peak memory and of time."""

    memory: float = 1.0
    seconds: float = 1.0


class Ratios:
    """The ratios of this machine. folder: None for the user's state folder; `Ratios.none()` keeps nothing."""

    def __init__(self, folder: Path | None = None, *, keep: bool = True) -> None:
        folder = folder or (state_folder() if keep else None)
        self._path = folder / FILE if folder and keep else None

    @staticmethod
    def none() -> Ratios:
        """Every estimate as it is, and nothing noted."""
        return Ratios(keep=False)

    def of(self, key: str) -> Ratio:
        """The ratio for one kind of run; 1 where nothing was measured."""
        return self.found(key) or Ratio()

    def found(self, key: str) -> Ratio | None:
        """The ratio for one kind of run; None where nothing was measured."""
        row = read_table(self._path).get(key)
        if not isinstance(row, dict):
            return None
        return Ratio(_bounded(positive(row.get("memory")) or 1.0), _bounded(positive(row.get("seconds")) or 1.0))

    def note(self, key: str, *, memory: float | None = None, seconds: float | None = None) -> None:
        """A run took this many times what was predicted without a ratio. None or nonsense: not measured."""
        table = read_table(self._path)
        old = self.of(key)
        row = {
            "memory": _moved(old.memory, memory),
            "seconds": _moved(old.seconds, seconds),
        }
        table.pop(key, None)
        kept = dict(list(table.items())[-_MOST_ROWS + 1 :])
        write_table(self._path, {**kept, key: row})


def ratio_key(model: str, engine: str, precision: str, size_class: int) -> str:
    return f"{model} | {engine} | {precision} | {size_class} pixels"


def _moved(old: float, measured: float | None) -> float:
    measured = positive(measured)
    return old if measured is None else _bounded(old + DAMPING * (_bounded(measured) - old))


def _bounded(ratio: float) -> float:
    return min(MOST, max(LEAST, ratio))
