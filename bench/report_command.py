"""The command's figures beside what they may be, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.command import LIMITS, CommandFigures

_NOTE = "Medians (least to most). The first two are of whole processes: Python's start and all imports are in them."


def command_lines(figures: CommandFigures) -> list[str]:
    """A section of the report in Markdown."""
    if figures.reason:
        return [f"## {figures.model}: the command", "", f"Not measured: {figures.reason}", ""]
    limits = LIMITS.get(figures.model)
    megabytes = [size / 1e6 for size in figures.peak_bytes]
    rows = (
        ("from the command to the PNG on disk, s", figures.command_seconds, limits and limits.command_seconds, 2),
        ("peak resident memory of that process, MB", megabytes, limits and limits.peak_bytes / 1e6, 0),
        ("a picture once the model is warm, s", figures.warm_seconds, limits and limits.warm_seconds, 3),
    )
    return [
        f"## {figures.model}: the command, {figures.width} x {figures.height} pixels, {figures.steps} steps, "
        f"guidance {figures.guidance:g}",
        "",
        "| | found | mark | met |",
        "|---|---|---|---|",
        *(_row(*row) for row in rows),
        "",
        _NOTE,
        "",
    ]


def _row(title: str, values: Sequence[float], limit: float | None, digits: int) -> str:
    middle = statistics.median(values)
    found = f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
    if limit is None:
        return f"| {title} | {found} | - | - |"
    return f"| {title} | {found} | under {limit:g} | {'yes' if middle < limit else '**no**'} |"
