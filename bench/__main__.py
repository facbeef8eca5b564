"""Measure: `python -m bench --quick`, `--models tiny-sd,sd15 --sizes 256,512`, `--model artist-turbo`.

Others by name: `service`, `isa`, `int8`, `lean`, `whole`, and `readme`, which makes the README's tables of what they
found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

import psutil

from bench import machine, report
from bench.assemble import assemble
from bench.command import TITLE, CommandFigures, measure_command
from bench.install_size import installed_bytes
from bench.measure import PICTURE_STEPS, Figures, Setting, measure
from bench.models import SPECS, WORK, build
from bench.rows import Row, chosen
from nutshell.catalogue import cards
from nutshell.pipeline.facts import read_unet
from nutshell.store import find
from nutshell.weights import open_checkpoint

RESULTS = Path(__file__).parent / "results"
_OTHERS = ("service", "isa", "int8", "lean", "whole", "readme")


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and words[0] in _OTHERS:
        # Loaded only when asked for: each has needs of its own.
        found: int = import_module(f"bench.{words[0]}").main(words[1:])
        return found
    options = _options(arguments)
    rows = chosen(options.engines, "avx512_bf16" in _flags() or "amx_bf16" in _flags())
    about = machine.describe()
    settings = {
        "threads": options.threads,
        "rounds": options.rounds,
        "stored_weights": options.stored,
        "autoencoder": options.vae,
        "load_average_before": machine.load_average(),
    }
    results: list[Figures] = []
    commands: list[CommandFigures] = []

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def write() -> Path:
        return report.write(options.out, options.name, about, settings, results, commands)[1]

    for model in options.models:
        if model in cards() and _wanted(options.engines):
            commands.append(measure_command(model, options.threads, options.rounds, say))
            write()
        if not rows:
            continue
        folder = _folder(model, options)
        parameters_bytes = _parameters_bytes(folder)
        for side in options.sizes or _usual_sizes(model):
            _export(folder, side, rows)
            setting = Setting(
                model, str(folder), side, options.threads, options.rounds, options.picture_steps, parameters_bytes
            )
            results += measure(setting, rows, say)
            # After each table, so that a run that is cut short leaves what it has.
            write()
    print(write().read_text(encoding="utf-8"))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a miniature model at 64 pixels, one round")
    parser.add_argument("--models", "--model", type=_words, help=f"of {', '.join(SPECS)}, or a model Nutshell finds")
    parser.add_argument("--sizes", type=_numbers, help="sides in pixels")
    parser.add_argument("--engines", type=_words, help="rows to run, by the beginning of their titles")
    parser.add_argument("--rounds", type=int, help="steps of each row, taken in turns")
    parser.add_argument("--picture-steps", type=int, help=f"steps really run of {PICTURE_STEPS}; 0: no picture")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--stored", choices=("f16", "f32"), default="f16", help="precision of the weights on disk")
    parser.add_argument("--vae", choices=("kl", "tiny"), default="kl", help="autoencoder of the built models")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", help="of the files; the date and the names of models that come with Nutshell")
    options = parser.parse_args(arguments)
    quick = options.quick
    options.models = options.models or (["miniature"] if quick else ["tiny-sd", "sd15"])
    if options.name is None:
        ours = [model for model in options.models if model in cards()]
        options.name = "-".join([datetime.now(timezone.utc).strftime("%Y-%m-%d"), *ours])
    options.sizes = options.sizes or ([64] if quick else None)
    options.rounds = options.rounds or (1 if quick else 7)
    if options.picture_steps is None:
        options.picture_steps = 2 if quick else 4
    return options


def _wanted(engines: list[str] | None) -> bool:
    """Whether the command itself is to be measured too."""
    return not engines or any(TITLE.startswith(name) for name in engines)


def _usual_sizes(model: str) -> list[int]:
    """A built-in model's own; else those of the tables."""
    return [cards()[model].width] if model in cards() else [256, 512]


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _flags() -> list[str]:
    flags = machine.describe()["instruction_sets"]
    return list(flags) if isinstance(flags, list) else []


def _folder(model: str, options: argparse.Namespace) -> Path:
    """A built model, or one that Nutshell finds by its name or path; one that shares parts, as a whole."""
    if model not in SPECS:
        return assemble(find(model), WORK / model)
    return build(SPECS[model], WORK / f"{model}-{options.stored}-{options.vae}", options.stored, options.vae)


def _parameters_bytes(folder: Path) -> int:
    with open_checkpoint(folder).open("unet") as part:
        read_unet(part)
        return 4 * sum(tensor.size for tensor in part.weights.tensors())


def _export(folder: Path, side: int, rows: Sequence[Row]) -> None:
    """What openvino-genai needs and cannot make itself. Should it fail, its row shows why it does not load."""
    if any(row.peer == "genai" for row in rows) and installed_bytes(("openvino-genai",)) is not None:
        command = [sys.executable, "-m", "bench.export", str(folder), str(side)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
