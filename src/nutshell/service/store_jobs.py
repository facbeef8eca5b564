"""Jobs as rows of the database. Each function is work for `Store.do`, once its other arguments are bound."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from nutshell.service.job import ENDED, Fault, Job, State
from nutshell.service.sentences import sentence_from_json, sentence_to_json
from nutshell.service.store import bound
from nutshell.service.wish import Wish

_LOG = logging.getLogger(__name__)
_INPUTS = ("image", "mask")
_COLUMNS = (
    "number", "id", "client", "state", "wish", "share", "created", "started", "finished", "seconds", "attempts",
    "leaner", "front", "turn", "pictures", "fault", "notes",
)  # fmt: skip
_ROW = ", ".join(_COLUMNS)


@dataclass(frozen=True)
class Record:
    """A job and what the queue alone needs of it. The wish is without its pictures: they stay in the database.

    share: equal for jobs that one drawing serves, empty for none. leaner: a worker died of it. front: it was begun
    and goes on before all others. turn: counts up with each job that is begun, 0 before. seconds: that it was drawn.
    """

    job: Job
    share: str = ""
    leaner: bool = False
    front: bool = False
    turn: int = 0
    seconds: float | None = None


def insert(database: sqlite3.Connection, record: Record, wish: Wish) -> Record:
    """Write a new job with the pictures that `wish` brings; the record with its number comes back."""
    values = _values(record)[1:]
    places = ", ".join("?" * len(values))
    cursor = database.execute(f"INSERT INTO jobs ({', '.join(_COLUMNS[1:])}) VALUES ({places})", values)
    number = cursor.lastrowid or 0
    for name in _INPUTS:
        data = getattr(wish, name)
        if data is not None:
            database.execute("INSERT INTO inputs (job, name, data) VALUES (?, ?, ?)", (number, name, data))
    return replace(record, job=replace(record.job, number=number))


def update(database: sqlite3.Connection, record: Record) -> None:
    """Write what changed. What only a drawing needs goes when the job has ended."""
    number, *values = _values(record)
    setters = ", ".join(f"{column} = ?" for column in _COLUMNS[1:])
    database.execute(f"UPDATE jobs SET {setters} WHERE number = ?", (*values, number))
    if record.job.ended:
        database.execute("DELETE FROM inputs WHERE job = ?", (number,))


def set_pictures(database: sqlite3.Connection, numbers: Collection[int], pictures: tuple[str, ...]) -> None:
    """Write which pictures of these jobs are done."""
    database.executemany(
        "UPDATE jobs SET pictures = ? WHERE number = ?", [(json.dumps(pictures), number) for number in numbers]
    )


def with_inputs(database: sqlite3.Connection, job: Job) -> Wish:
    """The job's wish with its pictures."""
    rows = database.execute("SELECT name, data FROM inputs WHERE job = ?", (job.number,))
    return replace(job.wish, **{name: data for name, data in rows if name in _INPUTS})


def input_bytes(database: sqlite3.Connection) -> int:
    """Of all pictures that wait with their jobs."""
    (total,) = database.execute("SELECT coalesce(sum(length(data)), 0) FROM inputs").fetchone()
    return int(total)


def get(database: sqlite3.Connection, id: str) -> Job | None:
    """The job of that id."""
    for record in _readable(database.execute(f"SELECT {_ROW} FROM jobs WHERE id = ?", (id,))):
        return record.job
    return None


def page(database: sqlite3.Connection, before: int | None, limit: int, states: Collection[State] | None) -> list[Job]:
    """Newest first, those numbered less than `before`."""
    wanted = list(states) if states is not None else []
    only = "" if states is None else f"state IN ({', '.join('?' * len(wanted))}) AND "
    rows = database.execute(
        f"SELECT {_ROW} FROM jobs WHERE {only}number < ? ORDER BY number DESC LIMIT ?",
        (*wanted, bound(before), limit),
    )
    return [record.job for record in _readable(rows)]


def active(database: sqlite3.Connection) -> list[Record]:
    """Jobs that have not ended, by number."""
    rows = database.execute(f"SELECT {_ROW} FROM jobs WHERE state IN ('queued', 'running') ORDER BY number")
    return list(_readable(rows))


def turns(database: sqlite3.Connection) -> dict[str, int]:
    """When each client was served last, longest ago first."""
    return dict(database.execute("SELECT client, max(turn) FROM jobs WHERE turn > 0 GROUP BY client ORDER BY 2"))


def drawn(database: sqlite3.Connection, most: int = 200) -> list[tuple[Wish, float]]:
    """What was drawn lately and in how many seconds, oldest first."""
    rows = database.execute(
        "SELECT wish, seconds FROM jobs WHERE state = 'done' AND seconds > 0 ORDER BY number DESC LIMIT ?", (most,)
    ).fetchall()
    return [(Wish.from_json(json.loads(wish)), seconds) for wish, seconds in reversed(rows)]


def prune(database: sqlite3.Connection, most: int) -> None:
    """Forget the oldest of those that have ended, beyond `most`."""
    ended = ", ".join(f"'{state}'" for state in sorted(ENDED))
    database.execute(
        f"DELETE FROM jobs WHERE state IN ({ended}) AND number <= "
        f"(SELECT number FROM jobs WHERE state IN ({ended}) ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (most,),
    )


def _values(record: Record) -> tuple[Any, ...]:
    job = record.job
    fault = job.fault and {
        "kind": job.fault.kind,
        "message": sentence_to_json(job.fault.message),
        "hint": sentence_to_json(job.fault.hint),
    }
    return (
        job.number, job.id, job.client, job.state, json.dumps(job.wish.to_json()), record.share, job.created,
        job.started, job.finished, record.seconds, job.attempts, record.leaner, record.front, record.turn,
        json.dumps(job.pictures), json.dumps(fault), json.dumps([sentence_to_json(note) for note in job.notes]),
    )  # fmt: skip


def _readable(rows: Iterable[tuple[Any, ...]]) -> Iterator[Record]:
    """A row that somebody changed by hand stops nothing."""
    for row in rows:
        try:
            yield _record(row)
        except (ValueError, KeyError, TypeError, AttributeError):
            _LOG.warning("job %s cannot be read", row[0])


def _record(row: tuple[Any, ...]) -> Record:
    of = dict(zip(_COLUMNS, row, strict=True))
    fault = json.loads(of["fault"])
    job = Job(
        number=of["number"],
        id=of["id"],
        client=of["client"],
        state=of["state"],
        wish=Wish.from_json(json.loads(of["wish"])),
        created=of["created"],
        started=of["started"],
        finished=of["finished"],
        attempts=of["attempts"],
        pictures=tuple(json.loads(of["pictures"])),
        fault=fault and Fault(fault["kind"], sentence_from_json(fault["message"]), sentence_from_json(fault["hint"])),
        notes=tuple(map(sentence_from_json, json.loads(of["notes"]))),
    )
    return Record(job, of["share"], bool(of["leaner"]), bool(of["front"]), of["turn"], of["seconds"])
