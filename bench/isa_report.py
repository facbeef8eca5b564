"""Figures of imitated processors as JSON and Markdown, and as rows of the planner's table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report import machine_lines
from nutshell.machine import Cpu
from nutshell.plan.instruction_sets import ARM, X86, Times, set_class

if TYPE_CHECKING:
    from bench.isa import IsaFigures

TITLES = {
    "native": "native",
    "avx512": "AVX-512 without VNNI",
    "avx2_vnni": "AVX2 with VNNI",
    "avx2": "AVX2",
    "sse41": "SSE4.2",
}
_NOTES = (
    "- by f32: over the same engine in f32 with the same sets, passes taken in turns, median of the rounds; "
    "by OpenVINO: over its median in f32 with the same sets; by native: over the same engine and precision on the "
    "processor as it is.",
    "- OpenVINO is held back by oneDNN's variables. ONNX Runtime has no such switch: where the kernel allows it, CPUID "
    "is answered as an older processor would; elsewhere its older rows are not measured.",
    "- ONNX Runtime computes in f32 and int8 only; bf16 is measured where the processor has it.",
    "- int8 with scales that are made up, by the rules of the pipeline for weights (within -63..63 without VNNI) and "
    "for what is not in eight bits (bf16 where the processor has it).",
)


def write(
    folder: Path, name: str, machine: Mapping[str, Any], settings: Mapping[str, Any], results: Sequence[IsaFigures]
) -> None:
    """Both files, `name`.json and `name`.md."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(row), "median_seconds": row.median} for row in results]
    content = {"machine": dict(machine), "settings": dict(settings), "results": rows}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(as_markdown(machine, settings, results), encoding="utf-8")


def as_markdown(machine: Mapping[str, Any], settings: Mapping[str, Any], results: Sequence[IsaFigures]) -> str:
    """A table for each model and size."""
    lines = ["# Older processors, imitated", "", *machine_lines(machine, settings), ""]
    for model, side in dict.fromkeys((row.model, row.side) for row in results):
        rows = [row for row in results if (row.model, row.side) == (model, side)]
        lines += [f"## {model}, {side} x {side} pixels", "", *_table(rows), ""]
    return "\n".join([*lines, *_NOTES, ""])


def _table(rows: Sequence[IsaFigures]) -> list[str]:
    found = {(row.set, row.engine, row.precision): row for row in rows}
    lines = [
        "| instruction sets | engine | precision | s a pass | by f32 | by OpenVINO | by native | load s | peak MB "
        "| resident MB (anonymous + file) | imitated by |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for row in rows:
        resident = "-"
        if row.anonymous_bytes is not None and row.file_bytes is not None:
            resident = f"{row.anonymous_bytes / 1e6:.0f} + {row.file_bytes / 1e6:.0f}"
        cells = [
            TITLES[row.set],
            row.engine,
            row.precision,
            _number(row.median, 4),
            _number(_paired(row, found.get((row.set, row.engine, "f32"))), 2),
            _number(ratio(row, found.get((row.set, "openvino", "f32"))), 2),
            _number(ratio(row, found.get(("native", row.engine, row.precision))), 2),
            _number(row.load_seconds, 1),
            "-" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}",
            resident,
            row.how,
        ]
        lines.append("| " + " | ".join(cells) + " |")
        if row.reason:
            notes.append(f"- {TITLES[row.set]}, {row.engine} {row.precision}: not measured: {row.reason}")
    return [*lines, "", *notes] if notes else lines


def ratio(row: IsaFigures, other: IsaFigures | None) -> float | None:
    """Of the medians."""
    if other is None or row.median is None or other.median is None:
        return None
    return row.median / other.median


def _paired(row: IsaFigures, other: IsaFigures | None) -> float | None:
    """The median of the rounds' ratios: what slows the machine down slows both."""
    pairs = list(zip(row.seconds, other.seconds, strict=False)) if other is not None else []
    return statistics.median(mine / theirs for mine, theirs in pairs) if pairs else None


def table_rows(rows: Sequence[IsaFigures], cpu: Cpu, where: str) -> tuple[Times, ...]:
    """Rows of the planner's table. cpu: the processor as it is. where: the results are."""
    native = set_class(cpu)
    found = {(row.set, row.engine, row.precision): row for row in rows}
    made = []
    for row in rows:
        name = row.set if row.set != "native" else native.name if native is not None else None
        base = found.get((row.set, "openvino", "f32"))
        over = ratio(row, base)
        if name is None or over is None or base is None or row is base:
            continue
        how = "native" if row.set == "native" else f"imitated by {row.how}"
        source = f"{row.model}, {row.side} pixels, {how}: {row.median:.3g} s over {base.median:.3g} s ({where})"
        made.append(Times(name, row.engine, row.precision, round(over, 3), "measured", source))
    return tuple(made)


def merged(old: Sequence[Times], new: Sequence[Times]) -> tuple[Times, ...]:
    """The rows of both, the new ones before the old, in the order of the classes."""
    rows = {(row.set, row.engine, row.precision): row for row in (*old, *new)}
    order = [each.name for each in (*X86, ARM)]
    return tuple(sorted(rows.values(), key=lambda row: order.index(row.set)))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
