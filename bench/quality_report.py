"""The table of pictures drawn otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from bench.entries import Entry
from bench.marks import number, table

_MARK = ": pictures, "


def quality_lines(entries: Mapping[str, Entry]) -> list[str]:
    """A section for each model; nothing where no pictures were compared."""
    found: dict[str, list[tuple[str, Entry]]] = {}
    for title, entry in entries.items():
        model, mark, way = title.partition(_MARK)
        if mark:
            found.setdefault(model, []).append((way, entry))
    lines = []
    for model, rows in found.items():
        count = max(len(entry.samples.get("picture_seconds", ())) for _, entry in rows)
        head = ("way", "drawn", "s a picture", f"PSNR to {rows[0][0]}, dB", "of the worst, dB", "judge, % right")
        body = [
            (
                way,
                "; ".join(entry.words.values()),
                number(entry.get("picture_seconds")),
                number(entry.get("psnr_db"), 1),
                number(entry.get("least_psnr_db"), 1),
                number(entry.get("judge_percent"), 1),
            )
            for way, entry in rows
        ]
        lines += [f"## {model}: pictures of {count} prompts, same seeds", "", *table(head, body), ""]
    return lines
