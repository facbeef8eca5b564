"""Rows as they are kept: figures under names with units, in one JSON file that a run begins with and adds to.

What is done stays done: the same command goes on where the last one stopped. A row that could not be measured keeps its
reason, and is tried again.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench import machine
from bench.process import NotMeasured
from nutshell.errors import NutshellError

Say = Callable[[str], None]


@dataclass
class Entry:
    """One row. values: by a name that ends in its unit; samples: one of every round, by such names.

    words: what else there is to say, by name. reason: why there is no measurement. load_average: of the machine, just
    before: what else it did. turn: when it was begun; rows that took turns have the same.
    """

    values: dict[str, float] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    load_average: float = 0.0
    turn: str = ""

    def get(self, name: str) -> float | None:
        """A value, or the median of its samples; None where there is none."""
        if name in self.values:
            return self.values[name]
        found = self.samples.get(name)
        return statistics.median(found) if found else None


def ratio(ours: Entry | None, theirs: Entry | None, name: str) -> float | None:
    """Our samples by theirs, the median over the rounds: what slows the machine down slows both.

    None where they did not take turns.
    """
    if ours is None or theirs is None or ours.turn != theirs.turn:
        return None
    pairs = zip(ours.samples.get(name, ()), theirs.samples.get(name, ()), strict=False)
    found = [mine / other for mine, other in pairs]
    return statistics.median(found) if found else None


class Journal:
    """The rows of one file, by title, in the order in which they were begun."""

    def __init__(self, path: Path, say: Say, settings: Mapping[str, Any], write: Callable[[Journal], None]) -> None:
        """write: what to do after each row besides, so that a run that is cut short leaves what it has."""
        self.path = path
        self.say = say
        self._write = write
        self.about: dict[str, Any] = dict(machine.describe())
        self.settings = dict(settings)
        self.entries: dict[str, Entry] = {}
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["settings"] != self.settings:
                raise SystemExit(f"{path} holds rows of other settings: give --name another one, or take it away")
            self.about, self.entries = kept["machine"], read_entries(kept)

    def row(self, title: str, measure: Callable[[Entry], None]) -> Entry:
        """`measure` fills the row, unless it is there."""
        return self.rows([title], lambda fresh: measure(fresh[title]))[title]

    def rows(self, titles: Iterable[str], measure: Callable[[dict[str, Entry]], None]) -> dict[str, Entry]:
        """As `row`, of several that take turns: all are measured anew if one of them is missing.

        `measure` gives single rows their reasons; what it raises itself is the reason of all.
        """
        wanted = list(titles)
        if all(title in self.entries and self.entries[title].reason is None for title in wanted):
            return {title: self.entries[title] for title in wanted}
        turn = datetime.now(timezone.utc).isoformat()
        fresh = {title: Entry(load_average=machine.load_average(), turn=turn) for title in wanted}
        try:
            measure(fresh)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong becomes a visible row, and the others go on
            for entry in fresh.values():
                entry.reason = entry.reason or _reason(error)
        self.entries |= fresh
        for title, entry in fresh.items():
            self.say(f"{title}: {'not measured: ' + entry.reason if entry.reason else _said(entry)}")
        self.save()
        return fresh

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entries = {title: asdict(entry) for title, entry in self.entries.items()}
        content = {"machine": self.about, "settings": self.settings, "entries": entries}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(self.path)
        self._write(self)


def read_entries(content: Mapping[str, Any]) -> dict[str, Entry]:
    """The rows of such a file, parsed."""
    return {title: Entry(**entry) for title, entry in content["entries"].items()}


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, (NotMeasured, NutshellError)) else f"{type(error).__name__}: {error}"


def _said(entry: Entry) -> str:
    found = {**entry.values, **{name: statistics.median(rows) for name, rows in entry.samples.items() if rows}}
    return ", ".join(_short(name, value) for name, value in found.items())


def _short(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return f"{name.removesuffix('_bytes').replace('_', ' ')} {value / 1e6:.0f} MB"
    return f"{name.replace('_', ' ')} {value:.3g}"
