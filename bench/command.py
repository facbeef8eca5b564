"""A built-in model as a user meets it: the command from its start to the PNG on disk, and the pictures after it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import SEED
from bench.process import NotMeasured

TITLE = "nutshell command"
PROMPT = "a cat wearing sunglasses"
_SOURCE = Path(__file__).parents[1] / "src"


@dataclass
class CommandFigures:
    """command_seconds: start of the process to the line that names the picture, which is said once the file is whole.

    peak_bytes: most resident memory of each of those processes. warm_seconds: later pictures of one loaded model.
    width, height, steps, guidance: what the picture had, all by default. reason: why there is no measurement.
    """

    model: str
    command_seconds: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    warm_seconds: list[float] = field(default_factory=list)
    width: int = 0
    height: int = 0
    steps: int = 0
    guidance: float = 0.0
    reason: str | None = None


@dataclass(frozen=True)
class Limits:
    """What a model's pictures may take: seconds warm, seconds from the command to the PNG, resident bytes."""

    warm_seconds: float
    command_seconds: float
    peak_bytes: int


# On two cores.
LIMITS = {"artist-turbo": Limits(0.5, 2.5, 400_000_000)}


def measure_command(model: str, threads: int, rounds: int, say: Callable[[str], None]) -> CommandFigures:
    """Run the real command `rounds` times, each in a process of its own, then as many warm pictures in one."""
    figures = CommandFigures(model)
    try:
        for _ in range(rounds):
            _run_command(figures, threads)
        warm = _run([sys.executable, "-m", "bench.warm", model, str(threads), str(rounds)])
        figures.warm_seconds = [float(word) for word in warm[0].split()]
    except NotMeasured as error:
        figures.reason = str(error)
        say(f"{model}: the command: not measured: {error}")
    else:
        say(f"{model}: the command: {statistics.median(figures.command_seconds):.2f} s to the PNG")
    return figures


def _run_command(figures: CommandFigures, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        words = ["generate", PROMPT, "--model", figures.model, "--seed", str(SEED), "--threads", str(threads)]
        words += ["--json", "--output", str(Path(folder, "picture.png"))]
        line, seconds = _run([sys.executable, "-m", "nutshell.cli.main", *words])
    told = json.loads(line)
    drawn = told["parameters"]
    figures.command_seconds.append(seconds)
    figures.peak_bytes.append(told["peak_bytes"])
    figures.width, figures.height = drawn["width"], drawn["height"]
    figures.steps, figures.guidance = drawn["steps"], drawn["guidance"]


def _run(words: Sequence[str]) -> tuple[str, float]:
    """The first line that a process says, and the seconds until then."""
    paths = os.pathsep.join((str(_SOURCE), str(_SOURCE.parent)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUTSHELL_")}
    environment |= {"PYTHONPATH": paths, "NUTSHELL_CONFIG": ""}
    with tempfile.TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.perf_counter() - begun
            process.stdout.read()
        if process.returncode != 0:
            errors.seek(0)
            said = [text.strip() for text in errors if text.strip()]
            raise NotMeasured(" ".join(said[-2:])[:200] or f"the process ended with status {process.returncode}")
    return line, seconds
