"""The tables of the database, and how an older one becomes a present one."""

from __future__ import annotations

import sqlite3

from nutshell.language import Text, tr

# "NutS" as a number: file(1) and we tell our databases from others by it.
APPLICATION = 0x4E757453

# One step a version: from an empty file to version 1, from there to 2 ... A step that was released is never changed.
STEPS: tuple[str, ...] = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        client TEXT NOT NULL,
        state TEXT NOT NULL,
        wish TEXT NOT NULL,
        share TEXT NOT NULL,
        created REAL NOT NULL,
        started REAL,
        finished REAL,
        seconds REAL,
        attempts INTEGER NOT NULL,
        leaner INTEGER NOT NULL,
        front INTEGER NOT NULL,
        turn INTEGER NOT NULL,
        pictures TEXT NOT NULL,
        fault TEXT NOT NULL,
        notes TEXT NOT NULL
    );
    CREATE INDEX jobs_by_state ON jobs (state, number);
    CREATE TABLE inputs (
        job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
        name TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (job, name)
    );
    CREATE TABLE pictures (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        job TEXT NOT NULL,
        created REAL NOT NULL,
        bytes INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        favourite INTEGER NOT NULL,
        parameters TEXT NOT NULL
    );
    CREATE INDEX pictures_by_favourite ON pictures (favourite, number, bytes);
    """,
)


class Damaged(Exception):
    """The file is no database that this version can use. reason: why."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason)
        self.reason = reason


def prepare(database: sqlite3.Connection) -> None:
    """Settle how the file is written, and bring its tables up to date. Raises Damaged, sqlite3.DatabaseError."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    # Nothing is written before it is clear that the file is ours and whole: it may be another's.
    version = _version(database)
    if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise Damaged(tr("it is damaged"))
    if version == len(STEPS) and _columns(database) != _columns_wanted():
        raise Damaged(tr("its tables are others"))
    # Before the first table: room that pictures took is given back to the disk when their jobs have ended.
    database.execute("PRAGMA auto_vacuum = FULL")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("PRAGMA journal_size_limit = 8000000")
    for number, step in enumerate(STEPS[version:], version + 1):
        database.executescript(
            f"BEGIN IMMEDIATE; {step}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {number}; COMMIT;"
        )


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not version:
        return 0
    if application != APPLICATION or version < 1:
        raise Damaged(tr("it belongs to another program"))
    if version > len(STEPS):
        raise Damaged(tr("a newer version of Nutshell wrote it"))
    return int(version)


def _columns(database: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(
        database.execute(
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
            "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        )
    )


def _columns_wanted() -> set[tuple[str, str]]:
    database = sqlite3.connect(":memory:")
    try:
        for step in STEPS:
            database.executescript(step)
        return _columns(database)
    finally:
        database.close()
