"""Pictures under a hard ceiling: `python -m bench lean`, as root on Linux.

    python -m bench lean                                   # the four marks
    python -m bench lean --cases "artist 256,tiny-sd 256"  # some of them, by the beginning of their names
    python -m bench lean --steps 20 --warm 0               # all steps; without the rows on files in memory

Each case is a whole `nutshell generate` in a memory control group of that size, the page cache dropped before and no
swap; its picture is compared with one of the same precision that was drawn without a ceiling. Then lean and resident
eight bits take turns, the model's files in the page cache: seconds a pass, by the median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import psutil

from bench import lean_report
from bench.cards import ALL_LAYERS, Calibration, calibrated, folder_of, has_card, name_of
from bench.control_group import forget_files, limited
from bench.entries import Entry, Journal
from bench.quality import of_errors
from bench.runs import BARE, CARDS, Ran, generate, nutshell, run, told

RESULTS = Path(__file__).parent / "results"
MIB = 1 << 20
_CLOCKED = (sys.executable, "-m", "bench.clocked")


@dataclass(frozen=True)
class Case:
    """A model at a size in so much memory. steps: run unless told otherwise; peaks do not depend on them."""

    model: str
    side: int
    limit_mib: int
    steps: int

    @property
    def title(self) -> str:
        return f"{self.model} {self.side} in {self.limit_mib} MB"


CASES = (
    Case("artist", 256, 192, 0),
    Case("tiny-sd", 256, 256, 4),
    Case("tiny-sd", 512, 448, 3),
    Case("sd15", 512, 640, 2),
)
QUICK = Case("miniature", 64, 192, 2)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    settings = {name: getattr(options, name) for name in ("steps", "warm", "threads")}
    path = options.out / f"{options.name}.json"
    journal = Journal(path, _say, settings, lean_report.write)
    cases = (QUICK,) if options.quick else CASES
    for case in cases:
        if options.cases is None or case.title.startswith(tuple(options.cases)):
            measure(journal, case, options)
    print(path.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


def measure(journal: Journal, case: Case, options: argparse.Namespace) -> None:
    """The run in its group, then the turns of lean and resident eight bits."""
    steps = options.steps or case.steps
    journal.row(case.title, lambda entry: _in_group(entry, case, steps, options.threads))
    if not options.warm:
        return
    if not has_card(case.model):
        calibrated(journal, case.model, Calibration(min(case.side, 256), 2), options.threads)
    titles = [f"{case.title}: {kind}" for kind in lean_report.WARM]
    journal.rows(titles, lambda fresh: _warm(fresh, titles, case, steps, options))


def _in_group(entry: Entry, case: Case, steps: int, threads: int) -> None:
    with tempfile.TemporaryDirectory() as out:
        picture, plain = Path(out, "lean", "picture.png"), Path(out, "plain", "picture.png")
        picture.parent.mkdir()
        plain.parent.mkdir()
        words = generate(name_of(case.model), picture, threads, *_size(case, steps))
        clock = Path(out, "steps.json")
        with limited(case.limit_mib * MIB) as group:
            forget_files()
            done = run(group.joined([*_CLOCKED, str(clock), *words, "--max-memory", f"{case.limit_mib}M"]))
            peak, faults = group.peak_bytes, group.major_faults
        made = told(done.line)["parameters"]
        _keep(entry, done, clock, peak, faults)
        mode = _mode(case, steps)
        entry.words["drawn"] = f"{mode}, {made['precision']} on {made['engine']}, {made['steps']} steps"
        resident = generate(name_of(case.model), plain, threads, *_size(case, steps))
        run(nutshell(*resident, "--precision", str(made["precision"])))
        entry.values["psnr_db"] = of_errors(plain.parent, picture.parent)["psnr_db"]


def _mode(case: Case, steps: int) -> str:
    """What the planner says of such a picture."""
    size = ["--size", str(case.side), *(["--steps", str(steps)] if steps else [])]
    words = ["plan", name_of(case.model), "--json", *size, "--max-memory", f"{case.limit_mib}M"]
    plan = json.loads(run(nutshell(*words)).line)["plan"]
    return "lean" if plan["lean"] else "staged" if plan["staged"] else "resident"


def _keep(entry: Entry, done: Ran, clock: Path, peak: int | None, faults: int) -> None:
    done.keep(entry)
    entry.samples["pass_seconds"] = _between(clock)
    entry.values["major_faults"] = faults
    if peak is not None:
        entry.values["group_peak_bytes"] = peak


def _warm(fresh: dict[str, Entry], titles: Sequence[str], case: Case, steps: int, options: argparse.Namespace) -> None:
    """Both kinds in turns; what one of them reads the other finds in memory."""
    kinds = (
        (BARE, ("--max-memory", f"{case.limit_mib}M")),
        (CARDS, ("--precision", "int8", "--engine", "openvino", "--int8-budget", ALL_LAYERS)),
    )
    for path in folder_of(case.model).rglob("*.safetensors"):
        path.read_bytes()
    with tempfile.TemporaryDirectory() as out:
        for _ in range(options.warm):
            for title, (home, flags) in zip(titles, kinds, strict=True):
                clock = Path(out, "steps.json")
                words = generate(name_of(case.model), Path(out, "picture.png"), options.threads, *_size(case, steps))
                done = run([*_CLOCKED, str(clock), *words, *flags], home)
                done.keep(fresh[title])
                times = _between(clock)
                if times:
                    fresh[title].samples.setdefault("pass_seconds", []).append(statistics.median(times))
                made = told(done.line)["parameters"]
                fresh[title].words["drawn"] = f"{made['precision']} on {made['engine']}"


def _size(case: Case, steps: int) -> list[str]:
    # Without guidance a step is a pass.
    return ["--size", str(case.side), "--guidance", "1", *(["--steps", str(steps)] if steps else [])]


def _between(clock: Path) -> list[float]:
    """Seconds from the end of each step to that of the next."""
    return [after - before for before, after in pairwise(json.loads(clock.read_text(encoding="utf-8")))]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench lean", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a miniature model at 64 pixels")
    parser.add_argument("--cases", type=lambda text: text.split(","), help="only those that begin so")
    parser.add_argument("--steps", type=int, default=0, help="of every case; 0 for few, and the built-in model's own")
    parser.add_argument("--warm", type=int, default=2, help="turns of lean and resident eight bits")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", default=datetime.now(timezone.utc).strftime("%Y-%m-%d-lean"), help="of the files")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
