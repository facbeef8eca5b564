"""Are the plan's figures true? `python -m bench.predictions` sets them beside those of real runs.

    python -m bench.predictions                        # the built-in model, and tiny-sd with random weights
    python -m bench.predictions --cases "artist,tiny-sd 512"

The machine is measured first, as `nutshell bench --quick` does it, into a state folder of its own; nothing is learnt
from the runs. Each run is a `nutshell generate` in a process of its own, planned by `nutshell plan` just before, with
the model's files no longer in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from bench import machine
from bench.models import SPECS, WORK, build
from nutshell.store import find

TIME_FACTOR = 1.5
PEAK_FACTOR = 1.15
RESULTS = Path(__file__).parent / "results"
_SOURCE = Path(__file__).parents[1] / "src"
_HEAD = ("case", "planned", "s", "measured s", "by plan", "MB", "measured MB", "by plan")


@dataclass(frozen=True)
class Case:
    """One picture. flags: of `nutshell plan` and `generate` alike."""

    model: str
    flags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return " ".join((self.model, *(flag.removeprefix("--") for flag in self.flags)))


# 4 steps, so that a table takes minutes; the load counts for more then, which makes it harder.
_FEW = ("--steps", "4")
CASES = (
    Case("artist"),
    Case("artist", ("--engine", "onnx")),
    Case("artist", ("--precision", "f32")),
    Case("artist", ("--size", "512")),
    Case("tiny-sd", ("--size", "256", *_FEW)),
    Case("tiny-sd", ("--size", "512", *_FEW)),
    Case("tiny-sd", ("--size", "256", *_FEW, "--precision", "f32")),
    Case("tiny-sd", ("--size", "256", *_FEW, "--engine", "onnx")),
    Case("tiny-sd", ("--size", "256", *_FEW, "--max-memory", "1600M")),
)


@dataclass(frozen=True)
class Compared:
    """What was planned and what came. how: engine, precision and mode."""

    case: Case
    how: str
    planned_seconds: float
    seconds: float
    planned_bytes: int
    peak_bytes: int

    @property
    def time_ratio(self) -> float:
        return self.seconds / self.planned_seconds

    @property
    def peak_ratio(self) -> float:
        return self.peak_bytes / self.planned_bytes

    @property
    def met(self) -> bool:
        return 1 / TIME_FACTOR <= self.time_ratio <= TIME_FACTOR and self.peak_ratio <= PEAK_FACTOR


def compare(case: Case, folder: str, state: Path) -> Compared:
    """Plan a picture, then draw it. folder: the model, as a name or path."""
    plan = json.loads(_nutshell(["plan", folder, "--json", *case.flags], state))["plan"]
    _forget(find(folder).path)
    with tempfile.TemporaryDirectory() as out:
        words = ["generate", "a cat", "--model", folder, "--seed", "1", "--json", "--no-learn", *case.flags]
        told = json.loads(_nutshell([*words, "--output", f"{out}/picture.png"], state))
    mode = "one stage at a time" if plan["staged"] else "all loaded"
    how = f"{plan['engine']}{' in place' if plan['lean'] else ''} {plan['precision']}, {mode}"
    return Compared(case, how, plan["picture_seconds"], told["seconds"], plan["need_bytes"], told["peak_bytes"])


def lines(rows: Sequence[Compared]) -> Iterator[str]:
    """A table in Markdown, and whether the marks are met."""
    yield f"| {' | '.join(_HEAD)} |"
    yield "|" + "---|" * len(_HEAD)
    for row in rows:
        time = f"{row.planned_seconds:.2f} | {row.seconds:.2f} | {row.time_ratio:.2f}"
        peak = f"{row.planned_bytes / 1e6:.0f} | {row.peak_bytes / 1e6:.0f} | {row.peak_ratio:.2f}"
        yield f"| {row.case.title} | {row.how} | {time} | {peak} |"
    missed = [row.case.title for row in rows if not row.met]
    yield ""
    yield f"Marks: time within a factor of {TIME_FACTOR}, peak at most {PEAK_FACTOR} times the plan's."
    yield f"Missed: {'; '.join(missed)}." if missed else "All met."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.predictions", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", default="", help="only those whose titles begin so, with commas between")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    wanted = tuple(options.cases.split(","))
    rows = []
    with tempfile.TemporaryDirectory() as state:
        _nutshell(["bench", "--quick"], Path(state))
        for case in CASES:
            if case.title.startswith(wanted):
                rows.append(compare(case, _folder(case.model), Path(state)))
                print(rows[-1].case.title, f"{rows[-1].time_ratio:.2f} {rows[-1].peak_ratio:.2f}", file=sys.stderr)
    about = machine.describe()
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    text = "\n".join(
        [f"# Planned and measured, {now}", "", f"{about['processor']}, {about['cores']} cores.", "", *lines(rows), ""]
    )
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{now}-predictions.md"
    path.write_text(text, encoding="utf-8")
    print(text)
    return int(not all(row.met for row in rows))


def _forget(model: Path) -> None:
    """Drop a model's files from the page cache: the plan reckons with reading them from the disk."""
    for path in model.rglob("*.safetensors"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _folder(model: str) -> str:
    if model not in SPECS:
        return model
    return str(build(SPECS[model], WORK / f"{model}-f16-kl", "f16", "kl"))


def _nutshell(words: Sequence[str], state: Path) -> str:
    """What the command line says on standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUTSHELL_")}
    # A config of the user's own would change the figures; an empty name would leave out what was measured, too.
    config = state / "config.toml"
    config.touch()
    environment |= {"PYTHONPATH": str(_SOURCE), "NUTSHELL_CONFIG": str(config), "XDG_STATE_HOME": str(state)}
    command = [sys.executable, "-m", "nutshell.cli.main", *words]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
