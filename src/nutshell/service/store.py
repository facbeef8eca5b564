"""The database of jobs and pictures: SQLite on a thread of its own, so that nobody else waits for a disk.

    store = Store.open(folder / "jobs.sqlite")      # None: in memory alone
    await store.do(lambda database: ...)            # on the event loop
    store.run(lambda database: ...)                 # in any other thread

Each piece of work is one transaction. What is committed outlasts a crash of this process; a power cut may undo the
last ones, never one before another (WAL, synchronous=NORMAL; https://sqlite.org/wal.html), and nothing up to the
last `durable` one. One process holds the file at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from nutshell.errors import OutputError
from nutshell.files import sync_folder
from nutshell.language import Text, tr
from nutshell.service.store_schema import Damaged, prepare

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# A service that was told to stop may still be ending.
_LOCK_SECONDS = 5.0
_LAST_NUMBER = 2**63 - 1  # the largest that SQLite counts to
_COMPANIONS = ("", "-wal", "-shm")

# What SQLite says (https://sqlite.org/rescode.html; its numbers reach Python from 3.11 only), and what to do.
_REASONS: tuple[tuple[str, Text, Text], ...] = (
    ("disk is full", tr("the disk is full"), tr("free some space, then try again")),
    ("readonly", tr("the disk is read-only"), tr("choose another folder, or start with --amnesia")),
    (
        "is locked",
        tr("another service of Nutshell uses it"),
        tr("stop it with `nutshell serve stop`, or choose another folder"),
    ),
    (
        "unable to open",
        tr("the folder cannot be written to"),
        tr("check its permissions, choose another folder, or start with --amnesia"),
    ),
    ("I/O error", tr("the disk failed"), tr("check the disk, or choose a folder on another")),
    ("malformed", tr("it is damaged"), tr("start the service again: it sets the file aside and begins a new one")),
)


class Store:
    """An open database. notes: what had to be done to open it, for the log and for people."""

    def __init__(self, database: sqlite3.Connection, thread: ThreadPoolExecutor, notes: tuple[Text, ...]) -> None:
        self._database = database
        self._thread = thread
        self.notes = notes

    @classmethod
    def open(cls, path: Path | None) -> Store:
        """Open or make the database; may block. None: in memory, gone with the process.

        A file that is damaged, of another program or of a newer version is renamed, a new one begun, and a note says
        so. Raises OutputError: no permission, no room, another process has it open.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        try:
            database, notes = thread.submit(_open, path).result()
        except BaseException:
            thread.shutdown()
            raise
        return cls(database, thread, notes)

    def submit(self, work: Work[T], *, durable: bool = False) -> Future[T]:
        """Begin a transaction behind those that were begun before. Its errors are OutputErrors and `work`'s own."""
        return self._thread.submit(self._transact, work, durable)

    def run(self, work: Work[T]) -> T:
        """The same, and wait for it: not on the event loop, and not within another `work`."""
        return self.submit(work).result()

    async def do(self, work: Work[T], *, durable: bool = False) -> T:
        """The same, on the event loop. Whoever is cancelled meanwhile undoes nothing that was begun."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(work, durable=durable)))

    def close(self) -> None:
        """Finish what was begun and close the file."""
        with contextlib.suppress(RuntimeError):  # closed before
            self._thread.submit(self._database.close).result()
        self._thread.shutdown()

    def _transact(self, work: Work[T], durable: bool) -> T:
        database = self._database
        try:
            database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            database.execute("BEGIN")
            result = work(database)
            database.execute("COMMIT")
        except BaseException as error:
            # A full disk makes SQLite roll back by itself.
            if database.in_transaction:
                database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise _output_error(error) from error
            raise
        return result


def bound(before: int | None) -> int:
    """`before` as SQLite can compare with: any number may come from outside, None is beyond all."""
    return _LAST_NUMBER if before is None else max(0, min(before, _LAST_NUMBER))


def _open(path: Path | None) -> tuple[sqlite3.Connection, tuple[Text, ...]]:
    if path is None:
        return _connect(":memory:"), ()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            # SQLite would say "disk I/O error" of a read-only disk.
            raise PermissionError(errno.EACCES, "not writable")
        try:
            return _connect(str(path)), ()
        except Damaged as damage:
            kept = _set_aside(path)
            note = tr(
                "the list of jobs was set aside as {name}, for {reason}; a new one begins",
                name=kept.name, reason=damage.reason,
            )  # fmt: skip
            return _connect(str(path)), (note,)
    except sqlite3.Error as error:
        raise _output_error(error) from error
    except OSError as error:
        raise _output_error(sqlite3.OperationalError("unable to open")) from error


def _connect(name: str) -> sqlite3.Connection:
    """Raises Damaged, and sqlite3.OperationalError for what is not the file's fault."""
    database = sqlite3.connect(name, timeout=_LOCK_SECONDS, isolation_level=None)
    try:
        prepare(database)
    except sqlite3.OperationalError:
        database.close()
        raise
    except sqlite3.DatabaseError as error:
        database.close()
        raise Damaged(tr("it is damaged")) from error
    except Damaged:
        database.close()
        raise
    return database


def _set_aside(path: Path) -> Path:
    """Rename the database and what belongs to it; nothing is deleted."""
    kept = next(
        name for number in itertools.count(1) if not (name := path.with_name(f"{path.name}.damaged-{number}")).exists()
    )
    for ending in _COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(kept.with_name(kept.name + ending))
    sync_folder(path.parent)
    return kept


def _output_error(error: sqlite3.Error) -> OutputError:
    said = str(error)
    known = (row for row in _REASONS if row[0] in said)
    _, reason, hint = next(known, ("", tr(said), tr("start the service again")))
    return OutputError(tr("the list of jobs cannot be written: {reason}", reason=reason), hint)
