"""What `python -m bench lean` found, beside its marks."""

from __future__ import annotations

from collections.abc import Mapping

from bench.entries import Entry, Journal, ratio
from bench.marks import Goal, goal_lines, number, pair, table
from bench.result_file import head_lines, note_lines

WARM = ("lean, files in memory", "resident int8")
HEAD = ("case", "drawn", "whole picture, s", "s a pass", "group's peak, MiB", "process: most anonymous + file, MB",
        "pages read again", "PSNR to resident, dB")  # fmt: skip
_LEAST_DB, _MOST_TIMES = 45.0, 3.0
_MIB = 1 << 20


def cases(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The runs in groups, by their titles."""
    return {title: entry for title, entry in entries.items() if " in " in title and ": " not in title}


def goals(entries: Mapping[str, Entry]) -> list[Goal]:
    """A picture at all, one that is right, and how much slower it is."""
    found: list[Goal] = []
    for title, entry in cases(entries).items():
        limit = float(title.rpartition(" in ")[2].removesuffix(" MB"))
        peak = entry.get("group_peak_bytes")
        found += [
            Goal(f"{title}: charged to the group", None if peak is None else peak / _MIB, limit, "MiB", digits=0),
            Goal(f"{title}: to the resident picture", entry.get("psnr_db"), _LEAST_DB, "dB", least=True, digits=1),
        ]
        lean, resident = (entries.get(f"{title}: {kind}") for kind in WARM)
        if lean is not None:
            found.append(Goal(f"{title}: a pass by resident int8's, files in memory",
                              ratio(lean, resident, "pass_seconds"), _MOST_TIMES))  # fmt: skip
    return found


def lines_of(about: Mapping[str, object], settings: Mapping[str, object], entries: Mapping[str, Entry]) -> list[str]:
    """The report in Markdown."""
    lines = head_lines("Under a hard ceiling", about, settings)
    shown = {title: entry for title, entry in entries.items() if " in " in title and "calibrate" not in title}
    lines += [*table(HEAD, [_cells(title, entry) for title, entry in shown.items()]), ""]
    lines += [*goal_lines(goals(entries)), *note_lines(entries)]
    lines += ["Groups: page cache dropped before, no swap; killed where they would take more. PSNR 99: equal.", ""]
    return lines


def write(journal: Journal) -> None:
    """The Markdown beside the rows."""
    lines = lines_of(journal.about, journal.settings, journal.entries)
    journal.path.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


def _cells(title: str, entry: Entry) -> tuple[str, ...]:
    peak = entry.get("group_peak_bytes")
    return (
        title,
        entry.words.get("drawn", "-"),
        number(entry.get("picture_seconds"), 1),
        number(entry.get("pass_seconds"), 2),
        number(None if peak is None else peak / _MIB, 0),
        pair(entry.get("peak_anonymous_bytes"), entry.get("peak_file_bytes")),
        number(entry.get("major_faults"), 0),
        number(entry.get("psnr_db"), 1),
    )
