"""The service beside the same model called in process: `python -m bench service [--model artist] [--quick]`."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import psutil

from bench import machine
from bench.command import PROMPT
from bench.service_process import Service
from bench.service_report import write
from bench.usual import fill

RESULTS = Path(__file__).parent / "results"
# Between two questions to /healthz while pictures are drawn.
_PAUSE_SECONDS = 0.01
_SETTLE_SECONDS = 5.0


@dataclass
class ServiceFigures:
    """What was measured, every value of it. Bytes are resident memory.

    ready_seconds: start of the process to the first answer. first_picture_seconds: start of the process to the end of
    the first job. idle_bytes: web side, nothing drawn yet; used_bytes: web side after the pictures;
    started_bytes: processes beside it, nothing drawn yet; drawing_bytes: those after the pictures.
    served_seconds, in_process_seconds: blocks of `pictures` pictures, taken in turns. alone_seconds: one job by itself,
    from the question to its end. health_seconds: answers of /healthz while pictures are drawn.
    """

    model: str
    pictures: int
    ready_seconds: list[float] = field(default_factory=list)
    first_picture_seconds: list[float] = field(default_factory=list)
    idle_bytes: int = 0
    started_bytes: int = 0
    used_bytes: int = 0
    drawing_bytes: int = 0
    served_seconds: list[float] = field(default_factory=list)
    in_process_seconds: list[float] = field(default_factory=list)
    alone_seconds: list[float] = field(default_factory=list)
    health_seconds: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    about = machine.describe()
    load_before = machine.load_average()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    figures = ServiceFigures(options.model, options.pictures)
    measure_starts(figures, options, say)
    measure_warm(figures, options, say)
    settings = {"threads": options.threads, "steps": options.steps, "load_average_before": load_before}
    path = write(options.out, options.name, about, settings, figures)
    print(path.read_text(encoding="utf-8"))
    return 0


def measure_starts(figures: ServiceFigures, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Processes from their start to the first picture, one after another."""
    for _ in range(options.rounds):
        with Service(options.model, options.threads) as service:
            figures.ready_seconds.append(service.ready_seconds)
            ended = service.wait(service.ask(prompt=PROMPT, seed=1, **_steps(options)))
            figures.first_picture_seconds.append(ended - service.begun)
        say(f"ready {figures.ready_seconds[-1]:.2f} s, first picture {figures.first_picture_seconds[-1]:.2f} s")


def measure_warm(figures: ServiceFigures, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """One service: idle, then blocks of pictures in turns with those of a process without a service."""
    with Service(options.model, options.threads) as service, _reference(options) as draw_in_process:
        time.sleep(_SETTLE_SECONDS)
        figures.idle_bytes, figures.started_bytes = service.web_bytes, service.worker_bytes
        say(f"idle {figures.idle_bytes / 1e6:.0f} MB and {figures.started_bytes / 1e6:.0f} MB beside it")
        service.wait(service.ask(prompt=PROMPT, seed=0, **_steps(options)))
        draw_in_process(1)
        for place in range(options.rounds):
            seeds = range(1 + place * options.pictures, 1 + (place + 1) * options.pictures)
            begun = time.perf_counter()
            jobs = [service.ask(prompt=PROMPT, seed=seed, **_steps(options)) for seed in seeds]
            figures.served_seconds.append(service.wait(jobs[-1]) - begun)
            figures.in_process_seconds.append(draw_in_process(options.pictures))
            begun = time.perf_counter()
            figures.alone_seconds.append(service.wait(service.ask(prompt=PROMPT, **_steps(options))) - begun)
            ratio = figures.served_seconds[-1] / figures.in_process_seconds[-1]
            say(f"{options.pictures} pictures: {figures.served_seconds[-1]:.2f} s, by in process {ratio:.3f}")
        figures.used_bytes, figures.drawing_bytes = service.web_bytes, service.worker_bytes
        measure_health(service, figures, options)
        say(f"/healthz: {statistics.median(figures.health_seconds) * 1000:.1f} ms")


def measure_health(service: Service, figures: ServiceFigures, options: argparse.Namespace) -> None:
    """Ask, again and again, while pictures with previews are drawn and one is followed as in a browser."""
    waiting: list[str] = []
    end = time.perf_counter() + options.health_seconds
    while time.perf_counter() < end:
        if len(waiting) < 3:
            waiting.append(service.ask(prompt=PROMPT, previews=True, **_steps(options)))
            following = service.follow_aside(waiting[-1])
        begun = time.perf_counter()
        service.get("/healthz")
        figures.health_seconds.append(time.perf_counter() - begun)
        time.sleep(_PAUSE_SECONDS)
        if not following.is_alive():
            waiting.clear()
    for id in waiting:
        service.cancel(id)


@contextmanager
def _reference(options: argparse.Namespace) -> Iterator[Callable[[int], float]]:
    """Draws pictures in a process without a service; gives the seconds."""
    words = [sys.executable, "-m", "bench.service_reference", options.model, str(options.threads), str(options.steps)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def draw(pictures: int) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{pictures}\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield draw
        process.communicate()


def _steps(options: argparse.Namespace) -> dict[str, int]:
    return {"steps": options.steps} if options.steps else {}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench service", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of two pictures of two steps")
    parser.add_argument("--model", default="artist", help="a model that Nutshell finds")
    parser.add_argument("--rounds", type=int, help="starts, and blocks of pictures in turns")
    parser.add_argument("--pictures", type=int, help="in a block")
    parser.add_argument("--steps", type=int, help="of a picture; 0 for the model's own")
    parser.add_argument("--health-seconds", type=float, help="how long /healthz is asked")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", default=datetime.now(timezone.utc).strftime("%Y-%m-%d-service"), help="of the files")
    options = parser.parse_args(arguments)
    usual = {"rounds": 1, "pictures": 2, "steps": 2, "health_seconds": 1.0} if options.quick else {
        "rounds": 7, "pictures": 10, "steps": 0, "health_seconds": 30.0
    }  # fmt: skip
    return fill(options, usual)


if __name__ == "__main__":
    sys.exit(main())
