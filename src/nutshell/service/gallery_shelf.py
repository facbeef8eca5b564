"""Where the gallery's files lie: a folder, or memory alone.

    gallery/0b9Xk2....png               a picture
    gallery/favourites/7Hc1Qz....png    one that is never removed to make room

The folder says which are favourites, so this outlasts the loss of the database.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nutshell.errors import NutshellError, OutputError, os_reason
from nutshell.files import writing
from nutshell.language import tr
from nutshell.pipeline.parameters import read_parameters

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}")
HEAD_BYTES = 24  # of a PNG: its size in pixels is known then
_FAVOURITES = "favourites"
_PARTS = ".nutshell-*.part"  # of `nutshell.files.writing`


def is_id(text: str) -> bool:
    """Whether it is of the form of our ids, and so safe in a file's name."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Found:
    """A file by itself. head: its first bytes, `HEAD_BYTES` at most. created: seconds since 1970."""

    head: bytes
    bytes: int
    created: float
    parameters: dict[str, Any]


class Shelf(Protocol):
    """Files by id. All may block."""

    def write(self, id: str, png: bytes, favourite: bool) -> None:
        """Whole or not at all. Raises OutputError."""

    def read(self, id: str, favourite: bool) -> bytes | None:
        """The file; None where there is none."""

    def move(self, id: str, favourite: bool) -> None:
        """Put it to the favourites, or back. Raises OutputError."""

    def remove(self, id: str) -> None:
        """Delete it, wherever it lies. Raises OutputError."""

    def files(self) -> dict[str, bool]:
        """The ids of all files; whether each is a favourite."""

    def found(self, id: str, favourite: bool) -> Found:
        """What a file says about itself. Raises OSError."""


class MemoryShelf:
    """For a service that leaves no trace."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def write(self, id: str, png: bytes, favourite: bool) -> None:
        self._files[id] = png

    def read(self, id: str, favourite: bool) -> bytes | None:
        return self._files.get(id)

    def move(self, id: str, favourite: bool) -> None:
        """The index alone knows."""

    def remove(self, id: str) -> None:
        self._files.pop(id, None)

    def files(self) -> dict[str, bool]:
        return dict.fromkeys(self._files, False)

    def found(self, id: str, favourite: bool) -> Found:
        png = self._files[id]
        return Found(png[:HEAD_BYTES], len(png), 0.0, {})


class FolderShelf:
    """A folder of PNG files. What is not named as ours is left alone."""

    def __init__(self, folder: Path) -> None:
        """Raises OutputError where the folder cannot be made."""
        self._folder = folder
        with _told():
            (folder / _FAVOURITES).mkdir(parents=True, exist_ok=True)
            # What a crash left half written.
            for part in (*folder.glob(_PARTS), *(folder / _FAVOURITES).glob(_PARTS)):
                part.unlink(missing_ok=True)

    def write(self, id: str, png: bytes, favourite: bool) -> None:
        with _told(), writing(self._path(id, favourite)) as file:
            file.write(png)

    def read(self, id: str, favourite: bool) -> bytes | None:
        # It may be on its way from one to the other.
        for place in (favourite, not favourite):
            with contextlib.suppress(FileNotFoundError):
                return self._path(id, place).read_bytes()
        return None

    def move(self, id: str, favourite: bool) -> None:
        with _told(), contextlib.suppress(FileNotFoundError):
            os.replace(self._path(id, not favourite), self._path(id, favourite))

    def remove(self, id: str) -> None:
        with _told():
            for favourite in (False, True):
                self._path(id, favourite).unlink(missing_ok=True)

    def files(self) -> dict[str, bool]:
        with _told():
            return dict(self._listed())

    def found(self, id: str, favourite: bool) -> Found:
        path = self._path(id, favourite)
        with open(path, "rb") as file:
            head, facts = file.read(HEAD_BYTES), os.fstat(file.fileno())
        try:
            parameters = read_parameters(path)
        except NutshellError:
            parameters = {}
        return Found(head, facts.st_size, facts.st_mtime, parameters)

    def _listed(self) -> Iterator[tuple[str, bool]]:
        for favourite in (False, True):
            with os.scandir(self._folder / _FAVOURITES if favourite else self._folder) as entries:
                for entry in entries:
                    stem, ending = os.path.splitext(entry.name)
                    if ending == ".png" and is_id(stem) and entry.is_file(follow_symlinks=False):
                        yield stem, favourite

    def _path(self, id: str, favourite: bool) -> Path:
        if not is_id(id):
            raise ValueError("not an id of a picture")
        return (self._folder / _FAVOURITES if favourite else self._folder) / f"{id}.png"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """The gallery's own sentence, without the folder: it is shown to whoever asked for the picture."""
    try:
        yield
    except (OutputError, OSError) as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        reason = os_reason(cause) if isinstance(cause, OSError) else os_reason(error)
        raise OutputError(
            tr("the gallery cannot be written: {reason}", reason=reason),
            tr("free some space on its disk, or check the permissions of its folder"),
        ) from error
