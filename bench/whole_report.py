"""What `python -m bench whole` found, beside its marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.entries import Entry, Journal, ratio
from bench.marks import Goal, goal_lines, in_megabytes, megabytes, number, pair, table
from bench.quality_report import quality_lines
from bench.result_file import head_lines, note_lines

OURS, FAST, DEFAULT, PLAIN = "nutshell int8", "nutshell int8 --fast", "nutshell default", "plain loop over NNCF int8"
GENAI = ("openvino-genai bf16", "openvino-genai int8")
BASE, GUIDED = "none", "none, guidance 7.5"
SAVINGS = ", one saving"
HEAD = ("row", "picture, s", "by ours", "peak MB", "most anonymous + file, MB", "steady MB", "drawn")
_SAVING_HEAD = ("saving", "picture, s", "times sooner", "peak MB", "steady MB", "drawn")
_FASTER = 1.6


@dataclass(frozen=True)
class Limits:
    """Of a whole picture of 20 steps without guidance."""

    seconds: float
    peak_mb: float
    steady_mb: float


LIMITS = {"tiny-sd 256": Limits(3.5, 750, 600), "tiny-sd 512": Limits(11.0, 750, 600)}


def groups(entries: Mapping[str, Entry]) -> dict[str, dict[str, Entry]]:
    """Rows that took turns, by "MODEL SIDE" or "MODEL SIDE, one saving"."""
    found: dict[str, dict[str, Entry]] = {}
    for title, entry in entries.items():
        group, _, row = title.partition(": ")
        if group.removesuffix(SAVINGS).rpartition(" ")[2].isdecimal():
            found.setdefault(group, {})[row] = entry
    return found


def goals(entries: Mapping[str, Entry]) -> list[Goal]:
    """Every mark of which something was measured."""
    found: list[Goal] = []
    for group, rows in groups(entries).items():
        if group not in LIMITS:
            continue
        limits, ours = LIMITS[group], rows.get(OURS, Entry())
        found += [
            Goal(f"{group}: {OURS}, start to PNG", ours.get("picture_seconds"), limits.seconds, "s", under=True),
            Goal(f"{group}: peak", in_megabytes(ours.get("peak_bytes")), limits.peak_mb, "MB", digits=0),
            Goal(f"{group}: steady", in_megabytes(ours.get("steady_bytes")), limits.steady_mb, "MB", digits=0),
        ]
        if group.endswith(" 512"):
            sooner = ratio(ours, rows.get(FAST), "picture_seconds")
            found.append(Goal(f"{group}: --fast, times sooner", sooner, _FASTER, least=True))
    return found


def lines_of(about: Mapping[str, object], settings: Mapping[str, object], entries: Mapping[str, Entry]) -> list[str]:
    """The report in Markdown."""
    lines = head_lines("Whole pictures", about, settings)
    for group, rows in groups(entries).items():
        if group.endswith(SAVINGS):
            side = group.removesuffix(SAVINGS)
            lines += [f"## {side}: one saving at a time", "", *table(_SAVING_HEAD, saving_cells(rows)), ""]
        else:
            lines += [f"## {group}: start of the process to the PNG", "", *table(HEAD, cells(rows)), ""]
    lines += [*quality_lines(entries), *goal_lines(goals(entries)), *note_lines(entries)]
    lines += ["Steady: the median of resident memory over the second half of a process's life.", ""]
    return lines


def cells(rows: Mapping[str, Entry]) -> list[tuple[str, ...]]:
    """One row of the table for each."""
    return [
        (
            title,
            number(entry.get("picture_seconds")),
            number(ratio(entry, rows.get(OURS), "picture_seconds")),
            megabytes(entry.get("peak_bytes")),
            pair(entry.get("peak_anonymous_bytes"), entry.get("peak_file_bytes")),
            megabytes(entry.get("steady_bytes")),
            entry.words.get("drawn", "-"),
        )
        for title, entry in rows.items()
    ]


def saving_cells(rows: Mapping[str, Entry]) -> list[tuple[str, ...]]:
    """Each beside what it saves of: a run with guidance beside one with guidance."""
    return [
        (
            title,
            number(entry.get("picture_seconds")),
            number(ratio(rows.get(_base(title)), entry, "picture_seconds")),
            megabytes(entry.get("peak_bytes")),
            megabytes(entry.get("steady_bytes")),
            entry.words.get("drawn", "-"),
        )
        for title, entry in rows.items()
    ]


def write(journal: Journal) -> None:
    """The Markdown beside the rows."""
    lines = lines_of(journal.about, journal.settings, journal.entries)
    journal.path.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


def _base(title: str) -> str:
    return GUIDED if title.startswith("interval") or title == GUIDED else BASE
