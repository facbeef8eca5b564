"""Whole pictures, from the start of the process to the PNG on disk: `python -m bench whole`.

    python -m bench whole                                    # tiny-sd at 256 and 512, its savings, their price
    python -m bench whole --sizes 512 --rows nutshell        # some rows, by the beginning of their titles
    python -m bench whole --also "int8 attention=--attention int8"
    python -m bench whole --quick                            # a miniature model, to see that it works

Every picture is a process of its own; rows take turns, one picture of each in every round. What openvino-genai and the
plain loop draw with is exported beforehand, and not counted. Then each saving is switched on alone; and on the built-in
model its price in quality is measured.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from bench import whole_report
from bench.cards import ALL_LAYERS, Calibration, calibrated, folder_of, has_card
from bench.entries import Entry, Journal
from bench.peers import Job
from bench.process import NotMeasured
from bench.quality import Way, drawn_and_judged
from bench.runs import BARE, CARDS, environment, generate, nutshell, run
from bench.usual import fill

RESULTS = Path(__file__).parent / "results"
INT8 = ("--precision", "int8", "--int8-budget", ALL_LAYERS)


@dataclass(frozen=True)
class Row:
    """How to draw. flags: of Nutshell's command; peer: a file in bench/peers instead.

    card: whether there is a calibration card. ahead: whether stages may be compiled ahead. fills: draw once more
    before, not counted. once: too slow for every round. guided: a second pass in every step.
    """

    title: str
    flags: tuple[str, ...] = ()
    peer: str = ""
    precision: str = ""
    card: bool = True
    ahead: bool = True
    fills: bool = False
    once: bool = False
    guided: bool = False


ROWS = (
    Row(whole_report.OURS, INT8),
    Row(whole_report.FAST, (*INT8, "--fast")),
    Row(whole_report.DEFAULT, card=False),
    Row("openvino-genai bf16", peer="genai", precision="bf16"),
    Row("openvino-genai int8", peer="genai", precision="int8"),
    Row(whole_report.PLAIN, peer="plain_loop", precision="int8"),
    Row("diffusers bf16", peer="diffusers", precision="bf16", once=True),
    Row("stable-diffusion.cpp q8_0", peer="sdcpp", precision="q8_0", once=True),
)
_FULL = "full decoder"
SAVINGS = (
    Row(whole_report.BASE, INT8),
    Row("reuse of 3", (*INT8, "--reuse", "3")),
    Row("reuse of 2", (*INT8, "--reuse", "2")),
    Row("merge of 0.5", (*INT8, "--merge", "0.5")),
    Row("fewer keys", (*INT8, "--fewer-keys")),
    Row(_FULL, INT8),
    Row("compile cache, filled", (*INT8, "--compile-cache"), fills=True),
    Row("nothing compiled ahead", INT8, ahead=False),
    Row(whole_report.GUIDED, INT8, guided=True),
    Row("interval of 0 to 0.75", (*INT8, "--guidance-interval", "0,0.75"), guided=True),
)
WAYS = (
    Way("nothing left out"),
    Way("reuse of 3", request={"reuse": 3}),
    Way("reuse of 2", request={"reuse": 2}),
    Way("merge of 0.5", request={"merge": 0.5}),
    Way("fewer keys", request={"fewer_keys": True}),
    Way("interval of 0 to 0.75", request={"guidance_interval": (0.0, 0.75)}),
    Way("--fast", request={"fast": True}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    settings = {name: getattr(options, name) for name in ("model", "steps", "rounds", "threads", "judged")}
    path = options.out / f"{options.name}.json"
    journal = Journal(path, _say, settings, whole_report.write)
    _prepare(journal, options)
    for side in options.sizes:
        turns(journal, f"{options.model} {side}", ROWS, side, options)
    if options.savings:
        side = options.sizes[-1]
        turns(journal, f"{options.model} {side}, one saving", (*SAVINGS, *options.also), side, options)
    if options.judged:
        drawn_and_judged(journal, "artist", WAYS, options.judged, options.threads)
    if path.with_suffix(".md").is_file():
        print(path.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


def turns(journal: Journal, group: str, rows: Sequence[Row], side: int, options: argparse.Namespace) -> None:
    """A picture of each row in every round."""
    chosen = {f"{group}: {row.title}": row for row in rows if _wanted(row, options)}

    def measure(fresh: dict[str, Entry]) -> None:
        for place in range(options.rounds):
            for title, row in chosen.items():
                if fresh[title].reason is None and not (row.once and place):
                    try:
                        _draw(fresh[title], row, side, options)
                    except NotMeasured as error:
                        fresh[title].reason = str(error)

    if chosen:
        journal.rows(chosen, measure)


def _draw(entry: Entry, row: Row, side: int, options: argparse.Namespace) -> None:
    folder = folder_of(options.model)
    with tempfile.TemporaryDirectory() as out:
        picture = Path(out, "picture.png")
        if row.peer:
            job = Job(row.peer, "", row.precision, str(folder), side, options.threads)
            words = [sys.executable, "-m", "bench.picture", json.dumps(asdict(job)), str(options.steps), str(picture)]
        else:
            words = _command(row, folder, picture, side, options)
        home = CARDS if row.card else BARE
        if row.fills and not entry.samples:
            run(words, home)
        done = run(words, home)
        if not picture.is_file():
            raise NotMeasured("no picture was written")
        done.keep(entry)
        if not row.peer:
            made = json.loads(done.line)["parameters"]
            entry.words["drawn"] = f"{made['precision']} on {made['engine']}"


def _command(row: Row, folder: Path, picture: Path, side: int, options: argparse.Namespace) -> list[str]:
    flags = ["--size", str(side), "--steps", str(options.steps), "--guidance", "7.5" if row.guided else "1"]
    if row.title == _FULL:
        flags += ["--vae", str(folder_of(options.model, vae="kl") / "vae")]
    words = generate(folder, picture, options.threads, *flags, *row.flags)
    if row.ahead:
        return nutshell(*words)
    return [sys.executable, "-m", "bench.clocked", str(picture.with_suffix(".json")), "--not-ahead", *words]


def _prepare(journal: Journal, options: argparse.Namespace) -> None:
    """The card, and what peers draw with. Should an export fail, the rows that need it show why they have none."""
    folder, side = folder_of(options.model), options.sizes[0]
    if not has_card(options.model):
        calibrated(journal, options.model, Calibration(min(side, 256), 2), options.threads)
    wanted = {row.peer for row in ROWS if _wanted(row, options)}
    if "sdcpp" in wanted or options.savings:
        folder_of(options.model, vae="kl")
    if wanted & {"genai", "plain_loop"}:
        for module in ("bench.export", "bench.export_int8"):
            _say(f"{module}: {folder.name}")
            command = [sys.executable, "-m", module, str(folder), str(side)]
            done = subprocess.run(command, env=environment(BARE), check=False, capture_output=True, text=True)
            if done.returncode:
                _say(f"{module}: {done.stderr.strip().splitlines()[-1:]}")


def _wanted(row: Row, options: argparse.Namespace) -> bool:
    return not options.rows or row.title.startswith(tuple(options.rows))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _also(text: str) -> Row:
    title, _, flags = text.partition("=")
    return Row(title, (*INT8, *shlex.split(flags)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench whole", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a miniature model at 64 pixels, one round")
    parser.add_argument("--model", help="one of random weights, with the tiny decoder")
    parser.add_argument("--sizes", type=lambda text: [int(word) for word in text.split(",")], help="sides in pixels")
    parser.add_argument("--rows", type=lambda text: text.split(","), help="only those that begin so")
    parser.add_argument("--also", type=_also, action="append", default=[], metavar="TITLE=FLAGS", help="another saving")
    parser.add_argument("--savings", action=argparse.BooleanOptionalAction, default=True, help="each saving alone")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, help="pictures of each row")
    parser.add_argument("--judged", type=int, help="prompts for the built-in model; 0 for none")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", default=datetime.now(timezone.utc).strftime("%Y-%m-%d-whole"), help="of the files")
    options = parser.parse_args(arguments)
    quick = options.quick
    usual: dict[str, Any] = {
        "model": "miniature" if quick else "tiny-sd",
        "sizes": [64] if quick else [256, 512],
        "steps": 5 if quick else 20,
        "rounds": 1 if quick else 3,
        "judged": 0 if quick else 40,
    }
    return fill(options, usual)


if __name__ == "__main__":
    sys.exit(main())
