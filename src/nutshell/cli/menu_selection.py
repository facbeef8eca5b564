"""A list to choose from, as it stands between two keys: what was typed, what that leaves, what is pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One line of a list. All its text is in the language that is spoken.

    cells: one for each column, or a single one for a line without columns. details: what is said of it below the list
    while it is pointed at. also: words by which it is found besides those that are shown. mark: the recommended one.
    """

    value: T
    cells: tuple[str, ...]
    details: tuple[str, ...] = ()
    also: str = ""
    mark: bool = False

    def fits(self, search: str) -> bool:
        """Whether every word of what was typed is found here."""
        text = " ".join((*self.cells, *self.details, self.also)).casefold()
        return all(word in text for word in search.casefold().split())


class Selection(Generic[T]):
    """What the keys change. pointed: a place in `found`, which is empty where nothing fits what was typed."""

    def __init__(self, entries: Sequence[Entry[T]], start: int | None = None) -> None:
        self.entries = tuple(entries)
        self.typed = ""
        self.found = self.entries
        marked = next((place for place, entry in enumerate(entries) if entry.mark), 0)
        self.pointed = marked if start is None else start

    @property
    def current(self) -> Entry[T] | None:
        return self.found[self.pointed] if self.found else None

    def search(self, text: str) -> None:
        """Leave those that fit; what was pointed at stays so if it is among them, else the first is."""
        before = self.current
        self.typed = text.lstrip()
        self.found = tuple(entry for entry in self.entries if entry.fits(self.typed))
        self.pointed = self.found.index(before) if before in self.found else 0

    def move(self, lines: int) -> None:
        """Up or down; a single step over the end comes out at the other one."""
        if self.found and abs(lines) == 1:
            self.pointed = (self.pointed + lines) % len(self.found)
        else:
            self.pointed = max(0, min(self.pointed + lines, len(self.found) - 1))
