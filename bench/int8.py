"""Eight bits beside other precisions and beside NNCF, of the same network in one run: `python -m bench int8`.

    python -m bench int8 --model tiny-sd [--size 512] [--rounds 7] [--loads 3]
    python -m bench int8 --model artist          # also what eight bits cost its pictures
    python -m bench int8 --quick                 # a miniature model, to see that it works

Passes of the denoiser are taken in turns, one of each row in every round. Then each of Nutshell's rows is loaded again
`--loads` times by itself. A card is made by `nutshell calibrate` beforehand, and is a row of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from bench import int8_report, machine
from bench.cards import Calibration, calibrated, folder_of, usual_side
from bench.entries import Entry, Journal
from bench.peers import Job
from bench.process import NotMeasured, Worker
from bench.quality import Way, drawn_and_judged
from bench.runs import CARDS
from bench.usual import fill
from nutshell.weights import open_checkpoint

RESULTS = Path(__file__).parent / "results"
# Pictures of the built-in model are compared after so few steps, as the mark has it.
_QUALITY_STEPS = 4


@dataclass(frozen=True)
class Row:
    """title: `int8_report` knows it. peer: a file in bench/peers."""

    title: str
    peer: str
    precision: str

    def job(self, folder: Path, side: int, threads: int) -> Job:
        return Job(self.peer, "openvino", self.precision, str(folder), side, threads)


# NNCF takes by far the most memory to load, so it comes first; the two that are compared take turns in any case.
ROWS = (
    Row(int8_report.NNCF, "nncf", "int8"),
    Row(int8_report.OURS, "nutshell", "int8"),
    Row("nutshell int8_weights", "nutshell", "int8_weights"),
    Row("nutshell bf16", "nutshell", "bf16"),
    Row("nutshell f32", "nutshell", "f32"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    settings = {name: getattr(options, name) for name in ("size", "rounds", "loads", "threads", "judged")}
    path = options.out / f"{options.name}.json"
    journal = Journal(path, _say, settings, int8_report.write)
    for model in options.models:
        measure(journal, model, options)
    print(path.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


def measure(journal: Journal, model: str, options: argparse.Namespace) -> None:
    """Every row of one model."""
    side = options.size or usual_side(model)
    built_in = model == "artist"
    # Enough for every operation of every layer; for good scales the built-in model is worth more.
    how = Calibration(side, 0, 4) if built_in and not options.quick else Calibration(min(side, 256), 2)
    calibrated(journal, model, how, options.threads)
    rows = [row for row in ROWS if not options.rows or row.title.startswith(tuple(options.rows))]
    if "avx512_bf16" not in _flags() and "amx_bf16" not in _flags():
        rows = [row for row in rows if row.precision != "bf16"]
    titles = {int8_report.title_of(model, side, row.title): row for row in rows}
    journal.rows(titles, lambda fresh: _passes(fresh, titles, model, side, options))
    if built_in and options.judged:
        ways = [Way("f32", {"precision": "f32"}), Way("int8", {"precision": "int8"})]
        drawn_and_judged(journal, model, ways, options.judged, options.threads, steps=_QUALITY_STEPS)


def _passes(
    fresh: dict[str, Entry], titles: dict[str, Row], model: str, side: int, options: argparse.Namespace
) -> None:
    """Load every row, let them take turns, then load some again."""
    folder = folder_of(model)
    # What the first row reads from the disk, the others would find in memory.
    for path in folder.rglob("*.safetensors"):
        path.read_bytes()
    with contextlib.ExitStack() as stack:
        live: dict[str, Worker] = {}
        for title, row in titles.items():
            with _reason(fresh[title]):
                _check_room(folder, bool(live))
                worker = stack.enter_context(_worker(row, folder, side, options.threads))
                loaded = worker.answer()
                _keep_load(fresh[title], loaded)
                live[title] = worker
        for _ in range(options.rounds):
            for title in list(live):
                with _reason(fresh[title]):
                    seconds = live[title].ask("step")["seconds"]
                    fresh[title].samples.setdefault("pass_seconds", []).append(seconds)
                if fresh[title].reason:
                    del live[title]
        for title, worker in live.items():
            with _reason(fresh[title]):
                fresh[title].values["peak_bytes"] = worker.ask("end")["peak_bytes"]
    for title in live:
        for _ in range(options.loads - 1 if titles[title].peer == "nutshell" else 0):
            with _reason(fresh[title]), _worker(titles[title], folder, side, options.threads) as worker:
                _keep_load(fresh[title], worker.answer())


def _check_room(folder: Path, beside: bool) -> None:
    """Raise NotMeasured where one row more might need what there is not; the first one may try."""
    with open_checkpoint(folder).open("unet") as part:
        parameters = sum(tensor.size for tensor in part.weights.tensors())
    # Nutshell's f32 row, the largest that comes late: weights repacked, and as they lie in the file.
    if beside and psutil.virtual_memory().available < 6 * parameters + 2**30:
        raise NotMeasured("memory does not hold it beside the other rows: run it by itself with --rows")


def _worker(row: Row, folder: Path, side: int, threads: int) -> Worker:
    return Worker("step", row.job(folder, side, threads), config=str(CARDS / "config.toml"))


def _keep_load(entry: Entry, said: dict[str, Any]) -> None:
    """load_peak_bytes: most resident until the first step was done; the others: after it."""
    entry.samples.setdefault("load_seconds", []).append(said["wall_seconds"])
    names = {"load_peak_bytes": "peak_bytes", "anonymous_bytes": "anonymous_bytes", "file_bytes": "file_bytes"}
    for ours, theirs in names.items():
        entry.samples.setdefault(ours, []).append(float(said[theirs]))


@contextlib.contextmanager
def _reason(entry: Entry) -> Any:
    """What keeps a row from being measured becomes its reason."""
    try:
        yield
    except NotMeasured as error:
        entry.reason = str(error)


def _flags() -> list[str]:
    flags = machine.describe()["instruction_sets"]
    return list(flags) if isinstance(flags, list) else []


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench int8", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a miniature model at 64 pixels, one round")
    parser.add_argument(
        "--model", "--models", dest="models", type=lambda text: text.split(","), help="tiny-sd,sd15,artist"
    )
    parser.add_argument("--size", type=int, default=0, help="side in pixels; 0 for 512, and a built-in model's own")
    parser.add_argument("--rows", type=lambda text: text.split(","), help="only those that begin so")
    parser.add_argument("--rounds", type=int, help="passes of each row")
    parser.add_argument("--loads", type=int, help="how often each of Nutshell's rows is loaded")
    parser.add_argument("--judged", type=int, help="of the built-in model: prompts whose pictures are compared")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", default=datetime.now(timezone.utc).strftime("%Y-%m-%d-int8"), help="of the files")
    options = parser.parse_args(arguments)
    quick = options.quick
    usual: dict[str, Any] = {
        "models": ["miniature"] if quick else ["tiny-sd", "sd15", "artist"],
        "rounds": 1 if quick else 7,
        "loads": 1 if quick else 3,
        "judged": 0 if quick else 100,
    }
    fill(options, usual)
    if quick:
        options.size = options.size or 64
    return options


if __name__ == "__main__":
    sys.exit(main())
