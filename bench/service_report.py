"""The service's figures as JSON and as Markdown, beside their marks."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.service import ServiceFigures

READY_SECONDS = 1.5
IDLE_BYTES = 120_000_000
HEALTH_SECONDS = 0.050
OVERHEAD = 1.03

Row = tuple[str, str, str, bool | None]


def overhead(figures: ServiceFigures) -> float:
    """Time with the service by time without: the median over the blocks, each with the one beside it."""
    pairs = zip(figures.served_seconds, figures.in_process_seconds, strict=True)
    return statistics.median(served / alone for served, alone in pairs)


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def rows(figures: ServiceFigures) -> list[Row]:
    """What, what was found, the mark, and whether it is met (None: no mark)."""
    ready = statistics.median(figures.ready_seconds)
    ratio = overhead(figures)
    slowest = percentile(figures.health_seconds, 99)
    served = 60 * figures.pictures / statistics.median(figures.served_seconds)
    alone = 60 * figures.pictures / statistics.median(figures.in_process_seconds)
    megabytes = IDLE_BYTES / 1e6
    return [
        ("start of the process to the first answer, s", _span(figures.ready_seconds), f"under {READY_SECONDS:g}",
         ready < READY_SECONDS),
        ("start of the process to the first picture, s", _span(figures.first_picture_seconds), "", None),
        ("warm pictures a minute, jobs that wait in the queue", f"{served:.1f}", "", None),
        ("warm pictures a minute, the same model in process", f"{alone:.1f}", "", None),
        ("time of those by time of these", f"{ratio:.3f}", f"at most {OVERHEAD:g}", ratio <= OVERHEAD),
        ("one job by itself, from the question to its end, s", _span(figures.alone_seconds), "", None),
        ("/healthz while pictures are drawn, p99, ms", f"{slowest * 1000:.1f}", f"under {HEALTH_SECONDS * 1000:g}",
         slowest < HEALTH_SECONDS),
        ("... median, ms", f"{statistics.median(figures.health_seconds) * 1000:.1f}", "", None),
        ("memory of the web side, no model loaded, MB", f"{figures.idle_bytes / 1e6:.0f}", f"under {megabytes:g}",
         figures.idle_bytes < IDLE_BYTES),
        ("... of the worker then, MB", f"{figures.started_bytes / 1e6:.0f}", "", None),
        ("memory of the web side after the pictures, MB", f"{figures.used_bytes / 1e6:.0f}", "", None),
        ("... of the worker then, MB", f"{figures.drawing_bytes / 1e6:.0f}", "", None),
    ]  # fmt: skip


def lines(about: Mapping[str, Any], settings: Mapping[str, Any], figures: ServiceFigures) -> list[str]:
    """The report in Markdown."""
    words = {None: "", True: "yes", False: "**no**"}
    return [
        f"# The service with {figures.model}, {about['date']}",
        "",
        f"{about['processor']}, {about['cores']} cores, load average before: {settings['load_average_before']}.",
        "",
        "| | found | mark | met |",
        "|---|---|---|---|",
        *(f"| {what} | {found} | {mark or '-'} | {words[met] or '-'} |" for what, found, mark, met in rows(figures)),
        "",
        f"Medians (least to most) of {len(figures.ready_seconds)} starts and as many blocks of {figures.pictures} "
        "pictures; blocks with and without the service take turns. Memory is resident memory (RSS).",
        "",
    ]


def write(
    folder: Path, name: str, about: Mapping[str, Any], settings: Mapping[str, Any], figures: ServiceFigures
) -> Path:
    """Both files; gives the path of the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"machine": dict(about), "settings": dict(settings), "figures": asdict(figures)}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    path = folder / f"{name}.md"
    path.write_text("\n".join(lines(about, settings, figures)), encoding="utf-8")
    return path


def _span(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
