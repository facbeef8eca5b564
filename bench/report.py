"""The figures as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.command import CommandFigures
from bench.measure import PICTURE_STEPS, Figures, paired_ratio
from bench.report_command import command_lines
from bench.rows import MARK, OURS

STEP_MARK = 1.05
LOAD_MARK = 3.0


@dataclass(frozen=True)
class Mark:
    """One goal and what was found. met None: not measured."""

    text: str
    found: float | None
    met: bool | None


def marks(results: Sequence[Figures]) -> list[Mark]:
    """Nutshell on OpenVINO against the converted model, for every model, size and precision that has both."""
    found = []
    by_key = {(f.model, f.side, f.precision, f.row): f for f in results}
    for (model, side, precision, row), ours in by_key.items():
        theirs = by_key.get((model, side, precision, MARK))
        if row != OURS or theirs is None:
            continue
        where = f"{model}, {side} pixels, {precision}"
        ratio = paired_ratio(ours, theirs)
        found.append(Mark(f"{where}: step, ours / converted, at most {STEP_MARK}", ratio, _at_most(ratio, STEP_MARK)))
        sooner = theirs.load_seconds / ours.load_seconds if ours.load_seconds and theirs.load_seconds else None
        met = None if sooner is None else sooner >= LOAD_MARK
        found.append(Mark(f"{where}: first step done, times sooner, at least {LOAD_MARK:g}", sooner, met))
    return found


def as_json(
    machine: Mapping[str, Any],
    settings: Mapping[str, Any],
    results: Sequence[Figures],
    commands: Sequence[CommandFigures] = (),
) -> str:
    """Everything, each step's time included."""
    content = {
        "machine": dict(machine),
        "settings": dict(settings),
        "results": [{**asdict(figures), "median_step_seconds": figures.median_seconds} for figures in results],
        "marks": [asdict(mark) for mark in marks(results)],
        "commands": [asdict(command) for command in commands],
    }
    return json.dumps(content, indent=1) + "\n"


def as_markdown(
    machine: Mapping[str, Any],
    settings: Mapping[str, Any],
    results: Sequence[Figures],
    commands: Sequence[CommandFigures] = (),
) -> str:
    """A section for each command, then a table for each model and size."""
    lines = ["# Nutshell beside its peers", "", *machine_lines(machine, settings), ""]
    for command in commands:
        lines += command_lines(command)
    for model, side in dict.fromkeys((figures.model, figures.side) for figures in results):
        rows = [figures for figures in results if (figures.model, figures.side) == (model, side)]
        lines += [f"## {model}, {side} x {side} pixels", "", *_table(rows), ""]
    found = marks(results)
    if found:
        lines += ["## Marks", "", "| mark | found | met |", "|---|---|---|"]
        lines += [f"| {mark.text} | {_number(mark.found, 3)} | {_verdict(mark.met)} |" for mark in found]
        lines.append("")
    return "\n".join(lines)


def write(
    folder: Path,
    name: str,
    machine: Mapping[str, Any],
    settings: Mapping[str, Any],
    results: Sequence[Figures],
    commands: Sequence[CommandFigures] = (),
) -> list[Path]:
    """Both files, `name`.json and `name`.md."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.json", folder / f"{name}.md"]
    paths[0].write_text(as_json(machine, settings, results, commands), encoding="utf-8")
    paths[1].write_text(as_markdown(machine, settings, results, commands), encoding="utf-8")
    return paths


def machine_lines(machine: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """What was measured on, and how."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.get("versions", {}).items())
    return [
        f"{machine['date']}; {machine['processor']} ({', '.join(machine['instruction_sets'])}), "
        f"{machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}, Python {machine['python']}; "
        f"{versions}.",
        "",
        "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in settings.items()) + ".",
    ]


def _table(rows: Sequence[Figures]) -> list[str]:
    ours = {figures.precision: figures for figures in rows if figures.row == OURS}
    reckoned = any((figures.picture_steps_run or PICTURE_STEPS) < PICTURE_STEPS for figures in rows)
    lines = [
        f"| | s a step | by ours | load s | picture s{' *' if reckoned else ''} | peak MB | picture peak MB "
        "| resident MB (anonymous + file) | installed MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for figures in rows:
        base = ours.get(figures.precision)
        ratio = paired_ratio(figures, base) if base else None
        resident = "-"
        if figures.anonymous_bytes is not None and figures.file_bytes is not None:
            resident = f"{figures.anonymous_bytes / 1e6:.0f} + {figures.file_bytes / 1e6:.0f}"
        cells = [
            figures.title,
            _number(figures.median_seconds, 3),
            _number(ratio, 2),
            _number(figures.load_seconds, 1),
            _number(figures.picture_seconds, 1),
            _megabytes(figures.peak_bytes),
            _megabytes(figures.picture_peak_bytes),
            resident,
            _megabytes(figures.install_bytes),
        ]
        lines.append("| " + " | ".join(cells) + " |")
        if figures.reason:
            notes.append(f"- {figures.title}: not measured: {figures.reason}")
    if any(figures.row == "openvino-genai" and figures.load_seconds for figures in rows):
        notes.append("- openvino-genai loads all parts before its first step, from a folder exported beforehand.")
    if reckoned:
        run = next(figures.picture_steps_run for figures in rows if figures.picture_steps_run)
        notes.insert(
            0, f"\\* {PICTURE_STEPS} steps, extrapolated: {run} were run, the rest reckoned from the median step."
        )
    return [*lines, "", *notes] if notes else lines


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _megabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:.0f}"


def _at_most(value: float | None, limit: float) -> bool | None:
    return None if value is None else value <= limit


def _verdict(met: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "not measured"}[met]
