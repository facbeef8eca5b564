"""The finished pictures, each a PNG that carries its parameters."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import logging
import secrets
import sqlite3
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from nutshell.errors import OutputError
from nutshell.language import Text, tr
from nutshell.service.gallery_shelf import HEAD_BYTES, FolderShelf, MemoryShelf, Shelf, is_id
from nutshell.service.store import Store, bound

_LOG = logging.getLogger(__name__)
_COLUMNS = "number, id, job, created, bytes, width, height, favourite, parameters"
SMALLEST_SIDE, LARGEST_SIDE = 16, 1024  # pixels, of a thumbnail


@dataclass(frozen=True)
class Item:
    """number: counts up. id: unguessable, the file's name but for .png. created: seconds since 1970.

    job: the id of the job that drew it, empty where that is not known (any more).
    """

    number: int
    id: str
    job: str
    created: float
    bytes: int
    width: int
    height: int
    favourite: bool
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What is kept. note: what people should know of it, such as favourites that leave no room for others."""

    pictures: int
    bytes: int
    favourite_bytes: int
    limit_bytes: int
    note: Text | None = None


class Gallery:
    """Pictures within a limit of bytes: the oldest go first, favourites stay. Methods may block on a disk."""

    def __init__(self, store: Store, shelf: Shelf, limit_bytes: int) -> None:
        """Use `open`."""
        self._store = store
        self._shelf = shelf
        self._limit_bytes = limit_bytes
        self._changing = threading.Lock()
        self._full = False  # of favourites, and the log has been told

    @classmethod
    def open(cls, store: Store, folder: Path | None, limit_bytes: int) -> Gallery:
        """Bring index and folder together: rows without a file go, files that the index lacks are taken in.

        folder: None to keep all in memory. Raises OutputError.
        """
        gallery = cls(store, MemoryShelf() if folder is None else FolderShelf(folder), limit_bytes)
        gallery._reconcile()
        return gallery

    def add(
        self,
        job: str,
        png: bytes,
        parameters: dict[str, Any],
        *,
        id: str = "",
        within: Callable[[sqlite3.Connection, Item], None] = lambda database, item: None,
    ) -> Item:
        """Keep a picture: whole or not at all. Raises OutputError.

        id: of `picture_id`, so that a picture that is drawn again after a crash takes its own place; a new one where
        it is empty. within: what else is written to the database in the same transaction.
        """
        try:
            width, height = _size(png)
        except ValueError as error:
            raise OutputError(tr("what was drawn is no PNG file")) from error
        with self._changing:
            before = self.get(id)
            favourite = before is not None and before.favourite
            item = Item(0, id or new_id(), job, time.time(), len(png), width, height, favourite, parameters)
            self._shelf.write(item.id, png, favourite)

            def keep(database: sqlite3.Connection) -> Item:
                kept = _insert(database, item)
                within(database, kept)
                return kept

            try:
                item = self._store.run(keep)
            except BaseException:
                with contextlib.suppress(OutputError):
                    self._discard(item.id)
                raise
            self._make_room(item)
        return item

    def get(self, id: str) -> Item | None:
        """The picture of that id."""
        if not is_id(id):
            return None
        return self._store.run(lambda database: _item(database, id))

    def page(self, *, before: int | None = None, limit: int = 50, favourites: bool = False) -> list[Item]:
        """Newest first: those numbered less than `before`."""
        only = "favourite = 1 AND " if favourites else ""
        query = f"SELECT {_COLUMNS} FROM pictures WHERE {only}number < ? ORDER BY number DESC LIMIT ?"
        return self._store.run(lambda database: [_read(row) for row in database.execute(query, (bound(before), limit))])

    def read(self, id: str) -> bytes | None:
        """The PNG; None where it is not there (any more)."""
        item = self.get(id)
        if item is None:
            return None
        png = self._shelf.read(id, item.favourite)
        if png is None:
            # Somebody tidied the folder by hand.
            self.remove(id)
        return png

    def thumbnail(self, id: str, side: int) -> bytes | None:
        """A WebP that fits into a square of `side` pixels (16 to 1024); None where the picture is not there."""
        png = self.read(id)
        if png is None:
            return None
        side = min(max(side, SMALLEST_SIDE), LARGEST_SIDE)
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            small = image.convert("RGB")
        small.thumbnail((side, side))
        file = io.BytesIO()
        small.save(file, "WEBP", quality=80)
        return file.getvalue()

    def favour(self, id: str, yes: bool) -> Item | None:
        """Mark as favourite or not. Raises OutputError."""
        with self._changing:
            item = self.get(id)
            if item is None:
                return None
            self._shelf.move(id, yes)
            self._store.run(
                lambda database: database.execute("UPDATE pictures SET favourite = ? WHERE id = ?", (yes, id))
            )
            return replace(item, favourite=yes)

    def remove(self, id: str) -> bool:
        """Delete a picture; False where there was none. Raises OutputError."""
        with self._changing:
            if self.get(id) is None:
                return False
            self._discard(id)
            return True

    def usage(self) -> Usage:
        """How full it is."""
        pictures, total, favourites = self._store.run(_sums)
        return Usage(pictures, total, favourites, self._limit_bytes, self._note(favourites))

    def _note(self, favourite_bytes: int) -> Text | None:
        if favourite_bytes < self._limit_bytes:
            return None
        return tr(
            "the favourites alone fill the gallery ({bytes:.0f} of {limit:.0f} MB): only the newest other picture "
            "is kept",
            bytes=favourite_bytes / 1e6,
            limit=self._limit_bytes / 1e6,
        )

    def _discard(self, id: str) -> None:
        # The file first: a row without a file is dropped by `open`, a file without a row would come back.
        self._shelf.remove(id)
        self._store.run(lambda database: database.execute("DELETE FROM pictures WHERE id = ?", (id,)))

    def _make_room(self, newest: Item) -> None:
        """Down to the limit. The newest stays in any case: somebody waits for it."""
        try:
            _, total, favourites = self._store.run(_sums)
            for id in self._store.run(lambda database: _oldest(database, total - self._limit_bytes, newest.number)):
                self._discard(id)
            note = self._note(favourites)
            if note is not None and not self._full:
                _LOG.warning("%s", note)
            self._full = note is not None
        except OutputError as error:
            # The picture itself is kept; room is made with the next.
            _LOG.warning("the gallery's oldest pictures could not be removed: %s", error)

    def _reconcile(self) -> None:
        files = self._shelf.files()
        rows = self._store.run(
            lambda database: {id: bool(yes) for id, yes in database.execute("SELECT id, favourite FROM pictures")}
        )
        gone = [(id,) for id in rows if id not in files]
        moved = [(yes, id) for id, yes in files.items() if rows.get(id, yes) != yes]
        found = (self._described(id, yes) for id, yes in files.items() if id not in rows)
        taken = sorted(filter(None, found), key=lambda item: item.created)

        def write(database: sqlite3.Connection) -> None:
            database.executemany("DELETE FROM pictures WHERE id = ?", gone)
            database.executemany("UPDATE pictures SET favourite = ? WHERE id = ?", moved)
            for item in taken:
                _insert(database, item)

        self._store.run(write)
        if taken:
            _LOG.warning("%d pictures of the gallery's folder were not in its index and were taken in", len(taken))

    def _described(self, id: str, favourite: bool) -> Item | None:
        """What the index says of a file, out of the file itself; None where it is no PNG."""
        try:
            found = self._shelf.found(id, favourite)
            width, height = _size(found.head)
        except (OSError, ValueError):
            return None
        return Item(0, id, "", found.created, found.bytes, width, height, favourite, found.parameters)


def new_id() -> str:
    """128 random bits. Never a leading "-", which would be an option to a shell's commands."""
    while (id := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return id


def picture_id(job: str, place: int) -> str:
    """The id of a job's picture, as unguessable as the job's own: SHA-256 of both, 132 bits of it."""
    digest = hashlib.sha256(f"{job} {place}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:22].decode().replace("-", "_")


def _size(png: bytes) -> tuple[int, int]:
    """Width and height, out of the header (PNG specification, 11.2.2). Raises ValueError."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR" or len(png) < HEAD_BYTES:
        raise ValueError("not a PNG")
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def _insert(database: sqlite3.Connection, item: Item) -> Item:
    row = (
        item.id, item.job, item.created, item.bytes, item.width, item.height, item.favourite,
        json.dumps(item.parameters, default=str),
    )  # fmt: skip
    cursor = database.execute(
        "INSERT OR REPLACE INTO pictures (id, job, created, bytes, width, height, favourite, parameters) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    return replace(item, number=cursor.lastrowid or 0)


def _item(database: sqlite3.Connection, id: str) -> Item | None:
    row = database.execute(f"SELECT {_COLUMNS} FROM pictures WHERE id = ?", (id,)).fetchone()
    return None if row is None else _read(row)


def _read(row: tuple[Any, ...]) -> Item:
    number, id, job, created, size, width, height, favourite, parameters = row
    return Item(number, id, job, created, size, width, height, bool(favourite), json.loads(parameters))


def _sums(database: sqlite3.Connection) -> tuple[int, int, int]:
    row = database.execute(
        "SELECT count(*), coalesce(sum(bytes), 0), coalesce(sum(bytes * favourite), 0) FROM pictures"
    ).fetchone()
    return row[0], row[1], row[2]


def _oldest(database: sqlite3.Connection, excess_bytes: int, newest: int) -> list[str]:
    """The ids that have to go, so that so many bytes are free again."""
    going: list[str] = []
    if excess_bytes > 0:
        rows = database.execute(
            "SELECT id, bytes FROM pictures WHERE NOT favourite AND number <> ? ORDER BY number", (newest,)
        )
        for id, size in rows:
            if excess_bytes <= 0:
                break
            going.append(id)
            excess_bytes -= size
    return going
