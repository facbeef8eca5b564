"""Goals beside what was found, and the few ways in which tables write a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MB = 1e6


@dataclass(frozen=True)
class Goal:
    """what: the goal in words. found: None where it was not measured. limit: the most, or with `least` the least.

    under: whether the limit itself is too much. digits: behind the point.
    """

    what: str
    found: float | None
    limit: float
    unit: str = ""
    least: bool = False
    under: bool = False
    digits: int = 2

    @property
    def met(self) -> bool | None:
        if self.found is None:
            return None
        if self.least:
            return self.found >= self.limit
        return self.found < self.limit if self.under else self.found <= self.limit

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What, the mark, what was found, whether it is met."""
        word = "at least" if self.least else "under" if self.under else "at most"
        unit = f" {self.unit}" if self.unit else ""
        verdict = {True: "yes", False: "**no**", None: "not measured"}[self.met]
        return self.what, f"{word} {self.limit:g}{unit}", number(self.found, self.digits, unit), verdict


def goal_lines(goals: Sequence[Goal]) -> list[str]:
    """A table in Markdown; nothing where there are none."""
    if not goals:
        return []
    return ["## Marks", "", *table(("mark", "wanted", "found", "met"), [goal.cells for goal in goals]), ""]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown."""
    return [_row(head), "|" + "---|" * len(head), *map(_row, rows)]


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def megabytes(value: float | None) -> str:
    return "-" if value is None else f"{value / MB:.0f}"


def in_megabytes(value: float | None) -> float | None:
    return None if value is None else value / MB


def pair(first: float | None, second: float | None) -> str:
    """Anonymous memory and that of files, in MB."""
    return "-" if first is None or second is None else f"{megabytes(first)} + {megabytes(second)}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
