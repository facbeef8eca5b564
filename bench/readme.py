"""Make the README's tables of the newest results: `python -m bench readme`, or `--check` to see whether they are those.

Of each kind the last file by its name is taken: `DATE.json` for `python -m bench`, `DATE-int8.json`, `DATE-lean.json`
and `DATE-whole.json`. A kind of which there is no file has no table.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import int8_report, lean_report, whole_report
from bench.entries import Entry, read_entries
from bench.marks import Goal, megabytes, number, table

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- Made by `python -m bench readme` of bench/results: -->"
END = "<!-- Until here. -->"
_STEP_NAMES = {
    "nutshell openvino": "**Nutshell, OpenVINO, {}**",
    "nutshell onnx": "**Nutshell, ONNX Runtime, {}**",
    "openvino converted": "OpenVINO, converted, {}",
    "openvino-genai": "openvino-genai, {} (exported before, not counted)",
}
_MODEL, _SIDE = "tiny-sd", 256

Lines = list[str]


def section(results: Path) -> str:
    """All tables, between the two marks."""
    lines = [BEGIN, ""]
    for pattern, make in _KINDS.items():
        path = newest(results, pattern)
        if path is not None:
            lines += make(json.loads(path.read_text(encoding="utf-8")), path)
    return "\n".join([*lines, END])


def newest(results: Path, pattern: str) -> Path | None:
    """The last file by name whose name is a date and `pattern`."""
    return max((path for path in results.glob("*.json") if re.fullmatch(r"\d{4}-\d\d-\d\d" + pattern, path.name)),
               default=None, key=lambda path: path.name)  # fmt: skip


def renewed(readme: str, made: str) -> str:
    """`readme` with `made` in the place of what stands between the marks. Raises ValueError where they are missing."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError(f"the README has to hold {BEGIN!r} and {END!r} once each, in this order")
    return readme.partition(BEGIN)[0] + made + readme.partition(END)[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench readme", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the README differs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=README)
    options = parser.parse_args(arguments)
    old = options.readme.read_text(encoding="utf-8")
    new = renewed(old, section(options.results))
    if not options.check:
        options.readme.write_text(new, encoding="utf-8")
    elif new != old:
        print(f"{options.readme} differs from the results: run python -m bench readme", file=sys.stderr)
        return 1
    return 0


def _steps(content: Mapping[str, Any], path: Path) -> Lines:
    """A step, the load and a whole picture of each row of `python -m bench`."""
    rows = [row for row in content["results"] if (row["model"], row["side"]) == (_MODEL, _SIDE) and not row["reason"]]
    head = ("", "s a step", "first step after", "whole picture", "peak memory of it")
    body = [
        (
            _STEP_NAMES.get(row["row"], row["row"] + ", {}").format(row["precision"]),
            number(row["median_step_seconds"], 3),
            number(row["load_seconds"], 1, " s"),
            number(row["picture_seconds"], 1, " s"),
            megabytes(row["picture_peak_bytes"]) + " MB",
        )
        for row in rows
    ]
    decoder = {"kl": "full", "tiny": "tiny"}[content["settings"]["autoencoder"]]
    run = max((row["picture_steps_run"] or 0 for row in rows), default=0)
    title = f"A step of {_MODEL} at {_SIDE} x {_SIDE} pixels, and whole pictures of 20 with the {decoder} decoder, "
    title += f"of which {run} were run and the rest reckoned"
    return [*_title(title, content, path), *table(head, body), ""]


def _int8(content: Mapping[str, Any], path: Path) -> Lines:
    entries = read_entries(content)
    lines = _title("Eight bits: a pass of the denoiser, and how it is loaded", content, path)
    body = [
        (f"{model}, {side}: {_ours(row[0])}", *row[1:])
        for (model, side), rows in int8_report.groups(entries).items()
        for row in int8_report.cells(_measured(rows))
    ]
    return [*lines, *table(int8_report.HEAD, body), "", *_verdict(int8_report.goals(entries))]


def _lean(content: Mapping[str, Any], path: Path) -> Lines:
    entries = read_entries(content)
    lines = _title("Whole pictures in a memory control group, nothing in the page cache, no swap", content, path)
    head = ("model, pixels, group", "drawn", "s a pass", "charged to the group, MiB", "PSNR to resident, dB")
    body = [
        (
            title,
            entry.words.get("drawn", "-"),
            number(entry.get("pass_seconds")),
            number(_mebibytes(entry.get("group_peak_bytes")), 0),
            number(entry.get("psnr_db"), 1),
        )
        for title, entry in _measured(lean_report.cases(entries)).items()
    ]
    return [*lines, *table(head, body), "", *_verdict(lean_report.goals(entries))]


def _whole(content: Mapping[str, Any], path: Path) -> Lines:
    entries = read_entries(content)
    steps = content["settings"]["steps"]
    lines = _title(f"Whole pictures of {steps} steps with the tiny decoder, start of the process to PNG", content, path)
    body = [
        (f"{group}: {_ours(row[0])}", *row[1:])
        for group, rows in whole_report.groups(entries).items()
        if not group.endswith(whole_report.SAVINGS)
        for row in whole_report.cells(_measured(rows))
    ]
    return [*lines, *table(whole_report.HEAD, body), "", *_verdict(whole_report.goals(entries))]


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Path], Lines]] = {
    r"\.json": _steps,
    r"-int8\.json": _int8,
    r"-whole\.json": _whole,
    r"-lean\.json": _lean,
}


def _title(words: str, content: Mapping[str, Any], path: Path) -> Lines:
    about = content["machine"]
    where = f"{about['processor']}, {about['cores']} cores, {about['date'].partition(' ')[0]}"
    return [f"{words} ({where}; [all of it](bench/results/{path.stem}.md)):", ""]


def _verdict(goals: Sequence[Goal]) -> Lines:
    """How many marks are met, and which are not."""
    if not goals:
        return []
    met = sum(goal.met is True for goal in goals)
    others = [
        f"{goal.what}: {goal.cells[2] if goal.met is False else 'not measured'}, wanted {goal.cells[1]}"
        for goal in goals
        if not goal.met
    ]
    return [f"{met} of {len(goals)} marks met.{' Missed: ' + '; '.join(others) + '.' if others else ''}", ""]


def _measured(rows: Mapping[str, Entry]) -> dict[str, Entry]:
    return {title: entry for title, entry in rows.items() if entry.reason is None}


def _ours(title: str) -> str:
    return f"**{title}**" if title.startswith("nutshell") else title


def _mebibytes(value: float | None) -> float | None:
    return None if value is None else value / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
