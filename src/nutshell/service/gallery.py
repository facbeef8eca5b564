"""The finished pictures, each a PNG that carries its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Item:
    """number: counts up. id: unguessable, the file's name but for .png. created: seconds since 1970."""

    number: int
    id: str
    job: str
    created: float
    bytes: int
    width: int
    height: int
    favourite: bool
    parameters: dict[str, Any]


class Gallery:
    """Pictures within a limit of bytes: the oldest go first, favourites stay. Methods may block on a disk."""

    def add(self, job: str, png: bytes, parameters: dict[str, Any]) -> Item:
        """Keep a picture: whole or not at all. Raises OutputError."""
        raise NotImplementedError

    def get(self, id: str) -> Item | None:
        """The picture of that id."""
        raise NotImplementedError

    def page(self, *, before: int | None = None, limit: int = 50, favourites: bool = False) -> list[Item]:
        """Newest first: those numbered less than `before`."""
        raise NotImplementedError

    def read(self, id: str) -> bytes | None:
        """The PNG; None where it is not there (any more)."""
        raise NotImplementedError

    def favour(self, id: str, yes: bool) -> Item | None:
        """Mark as favourite or not."""
        raise NotImplementedError

    def remove(self, id: str) -> bool:
        """Delete a picture; False where there was none."""
        raise NotImplementedError
