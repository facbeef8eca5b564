"""What `python -m bench int8` found, beside its marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.entries import Entry, Journal, ratio
from bench.marks import Goal, goal_lines, in_megabytes, megabytes, number, pair, table
from bench.quality_report import quality_lines
from bench.result_file import head_lines, note_lines

OURS, NNCF = "nutshell int8", "nncf int8"
HEAD = ("row", "s a pass", "by NNCF", "first pass after, s", "peak until then, MB", "then: anonymous + file, MB")
_PASS_RATIO = 1.02
_CALIBRATE_RATIO = 1.20


@dataclass(frozen=True)
class Limits:
    """At 512 pixels: seconds and bytes from the start of the process to the end of the first pass, and bytes after."""

    load_seconds: float
    load_peak_mb: float
    after_mb: float


LIMITS = {("tiny-sd", 512): Limits(3.0, 800, 600), ("sd15", 512): Limits(7.0, 2000, 1400)}
_LEAST_DB, _MOST_POINTS = 35.0, 2.0


def title_of(model: str, side: int, row: str) -> str:
    return f"{model} {side}: {row}"


def groups(entries: Mapping[str, Entry]) -> dict[tuple[str, int], dict[str, Entry]]:
    """The rows of passes by (model, side), by their titles."""
    found: dict[tuple[str, int], dict[str, Entry]] = {}
    for title, entry in entries.items():
        place, _, row = title.partition(": ")
        model, _, side = place.rpartition(" ")
        if model and side.isdecimal():
            found.setdefault((model, int(side)), {})[row] = entry
    return found


def goals(entries: Mapping[str, Entry]) -> list[Goal]:
    """Every mark of which something was measured."""
    found: list[Goal] = []
    for (model, side), rows in groups(entries).items():
        ours = rows.get(OURS, Entry())
        where = f"{model}, {side} pixels"
        if (model, side) in LIMITS:
            limits = LIMITS[model, side]
            found += [
                Goal(f"{where}: a pass, by NNCF's", ratio(ours, rows.get(NNCF), "pass_seconds"), _PASS_RATIO, digits=3),
                Goal(f"{where}: first pass done after", ours.get("load_seconds"), limits.load_seconds, "s", under=True),
                Goal(f"{where}: peak until then", in_megabytes(ours.get("load_peak_bytes")), limits.load_peak_mb, "MB",
                     digits=0),
                Goal(f"{where}: resident then", in_megabytes(after_bytes(ours)), limits.after_mb, "MB", digits=0),
            ]  # fmt: skip
    for title, entry in entries.items():
        model, _, what = title.partition(": ")
        plain = next((each for name, each in entries.items() if name.startswith(f"{model}: a picture in f32")), None)
        if what == "calibrate" and plain is not None:
            peak, wanted = entry.get("peak_bytes"), plain.get("peak_bytes")
            share = peak / wanted if peak and wanted else None
            found.append(Goal(f"{model}: peak of calibrating, by that of drawing in f32", share, _CALIBRATE_RATIO))
    eight = entries.get("artist: pictures, int8")
    plain = entries.get("artist: pictures, f32")
    if eight is not None and plain is not None:
        decibels = eight.get("psnr_db")
        found.append(Goal("artist: int8 to f32, same seeds", decibels, _LEAST_DB, "dB", least=True, digits=1))
        first, second = plain.get("judge_percent"), eight.get("judge_percent")
        lost = first - second if first is not None and second is not None else None
        found.append(Goal("artist: points of the judge's accuracy lost", lost, _MOST_POINTS, digits=1))
    return found


def after_bytes(entry: Entry) -> float | None:
    """Resident after the first pass."""
    anonymous, file = entry.get("anonymous_bytes"), entry.get("file_bytes")
    return None if anonymous is None or file is None else anonymous + file


def lines_of(about: Mapping[str, object], settings: Mapping[str, object], entries: Mapping[str, Entry]) -> list[str]:
    """The report in Markdown."""
    lines = head_lines("Eight bits", about, settings)
    for (model, side), rows in groups(entries).items():
        lines += [f"## {model}, {side} x {side} pixels", "", *table(HEAD, cells(rows)), ""]
    made = [
        (title, number(entry.get("calibrate_seconds") or entry.get("picture_seconds"), 1, " s"),
         megabytes(entry.get("peak_bytes")), "; ".join(entry.words.values()))
        for title, entry in entries.items() if title.endswith(": calibrate") or ": a picture in f32" in title
    ]  # fmt: skip
    if made:
        lines += ["## Cards", "", *table(("row", "time", "peak MB", "of"), made), ""]
    lines += [*quality_lines(entries), *goal_lines(goals(entries)), *note_lines(entries)]
    return lines


def cells(rows: Mapping[str, Entry]) -> list[Sequence[str]]:
    """One row of the table for each."""
    return [
        (
            title,
            number(entry.get("pass_seconds"), 3),
            number(ratio(entry, rows.get(NNCF), "pass_seconds"), 2),
            number(entry.get("load_seconds"), 1),
            megabytes(entry.get("load_peak_bytes")),
            pair(entry.get("anonymous_bytes"), entry.get("file_bytes")),
        )
        for title, entry in rows.items()
    ]


def write(journal: Journal) -> None:
    """The Markdown beside the rows."""
    lines = lines_of(journal.about, journal.settings, journal.entries)
    journal.path.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")
