"""Older processors, imitated: `python -m bench isa [--models artist,tiny-sd] [--save]`, or `--quick` to see it work."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import psutil

from bench import isa_report, machine
from bench.assemble import assemble
from bench.cpuid import can_hide
from bench.isa_worker import IsaJob
from bench.models import SPECS, WORK, build
from bench.older_sets import SETS, OlderSet
from bench.process import Child, NotMeasured
from nutshell.catalogue import cards
from nutshell.machine import Cpu, probe_processor
from nutshell.machine.kernel_limits import VARIABLES
from nutshell.plan.instruction_sets import PATH, read_rows, write_rows
from nutshell.store import find

RESULTS = Path(__file__).parent / "results"
# What each engine computes in; the bf16 of older sets is float32.
PRECISIONS = {"openvino": ("f32", "bf16", "int8", "int8_weights"), "onnx": ("f32", "int8")}
_BF16 = {"avx512_bf16", "amx_bf16"}
NO_SWITCH = "ONNX Runtime's kernels ask the processor itself, and this kernel does not let CPUID be answered otherwise"


@dataclass
class IsaFigures:
    """One row; None where it was not measured, and `reason` says why.

    seconds: of one pass, every round. load_seconds: process start to the end of the first pass. how: it was imitated
    ("native", "variables", "CPUID and variables"). seen: what NumPy saw of the processor.
    """

    model: str
    side: int
    set: str
    engine: str
    precision: str
    how: str = ""
    seconds: list[float] = field(default_factory=list)
    load_seconds: float | None = None
    peak_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    seen: list[str] = field(default_factory=list)
    reason: str | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    cpu, hide = probe_processor().cpu, can_hide()
    about = machine.describe()
    settings = {
        "threads": options.threads,
        "rounds": options.rounds,
        "stored_weights": options.stored,
        "cpuid_hidden": hide,
        "load_average_before": machine.load_average(),
    }
    results: list[IsaFigures] = []

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    for model in options.models:
        folder = _folder(model, options.stored)
        side = options.size or (cards()[model].width if model in cards() else 512)
        for older in SETS:
            if options.sets and older.name not in options.sets:
                continue
            for engine in options.engines:
                rows = [
                    IsaFigures(model, side, older.name, engine, name)
                    for name in _precisions(engine, older, cpu)
                    if not options.precisions or name in options.precisions
                ]
                _measure(rows, older, cpu, hide, str(folder), options, say)
                results += rows
                # After each group, so that a run that is cut short leaves what it has.
                isa_report.write(options.out, options.name, about, settings, results)
    if options.save:
        _save(results, cpu, options.name)
        say(f"the planner's table: {PATH}")
    print((options.out / f"{options.name}.md").read_text(encoding="utf-8"))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench isa", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a miniature model at 64 pixels, one round")
    parser.add_argument("--models", type=_words, help=f"of {', '.join(SPECS)}, or models Nutshell finds")
    parser.add_argument("--size", type=int, help="side in pixels (default: a built-in model's own, else 512)")
    parser.add_argument("--sets", type=_words, help=f"of {', '.join(each.name for each in SETS)}")
    parser.add_argument("--engines", type=_words, default=list(PRECISIONS), help="of openvino, onnx")
    parser.add_argument("--precisions", type=_words, help="of f32, bf16, int8, int8_weights")
    parser.add_argument("--rounds", type=int, help="passes of each row, in turns with those beside it")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--stored", choices=("f16", "f32"), default="f16", help="precision of the weights on disk")
    parser.add_argument("--save", action="store_true", help="rewrite the planner's table from the last model's rows")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", default=f"{datetime.now(timezone.utc):%Y-%m-%d}-isa", help="of the files")
    options = parser.parse_args(arguments)
    options.models = options.models or (["miniature"] if options.quick else ["artist", "tiny-sd"])
    options.size = options.size or (64 if options.quick else None)
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def _words(text: str) -> list[str]:
    return text.split(",")


def _precisions(engine: str, older: OlderSet, cpu: Cpu) -> Iterator[str]:
    for name in PRECISIONS[engine]:
        if name != "bf16" or (not older.features and cpu.features & _BF16):
            yield name


def _folder(model: str, stored: str) -> Path:
    if model not in SPECS:
        return assemble(find(model), WORK / model)
    return build(SPECS[model], WORK / f"{model}-{stored}-kl", stored)


def _measure(
    rows: Sequence[IsaFigures],
    older: OlderSet,
    cpu: Cpu,
    hide: bool,
    folder: str,
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> None:
    """Rows of one set and engine: each loaded in a process of its own, then a pass of each in turn."""
    missing = sorted(older.features - cpu.features)
    hidden = hide and bool(older.hidden)
    variables = dict.fromkeys(VARIABLES, older.variable) if older.variable else {}
    with contextlib.ExitStack() as stack:
        live: list[tuple[IsaFigures, Child]] = []
        for row in rows:
            row.how = "native" if not older.variable else "CPUID and variables" if hidden else "variables"
            if missing:
                row.reason = f"this processor has no {', '.join(missing)} to imitate it with"
            elif row.engine == "onnx" and older.variable and not hidden:
                row.reason = NO_SWITCH
            else:
                job = IsaJob(
                    row.set, row.engine, row.precision, folder, row.side, options.threads, tuple(cpu.features), hidden
                )
                child = stack.enter_context(Child("bench.isa_worker", asdict(job), variables))
                if _loaded(row, child, older, hidden):
                    live.append((row, child))
            say(f"{_title(row)}: {row.reason or f'loaded in {row.load_seconds:.1f} s'}")
        for what in (*["step"] * options.rounds, "end"):
            for row, child in live:
                _asked(row, child, what)
    for row in rows:
        if row.median is not None:
            say(f"{_title(row)}: {row.median:.4f} s a pass")


def _loaded(row: IsaFigures, child: Child, older: OlderSet, hidden: bool) -> bool:
    """Whether it is there, and sees what it is meant to see."""
    try:
        said = child.answer()
    except NotMeasured as error:
        row.reason = str(error)
        return False
    row.load_seconds, row.seen = said["wall_seconds"], said["seen"]
    row.anonymous_bytes, row.file_bytes = said["anonymous_bytes"], said["file_bytes"]
    wanted = {"AVX": "avx", "AVX2": "avx2", "AVX512F": "avx512f"}
    wrong = [name for name, ours in wanted.items() if hidden and (name in row.seen) != (ours in older.features)]
    if wrong:
        row.reason = f"the imitation did not take: {', '.join(wrong)}"
    return not wrong


def _asked(row: IsaFigures, child: Child, what: str) -> None:
    if row.reason is not None:
        return
    try:
        said = child.ask(what)
    except NotMeasured as error:
        row.reason = str(error)
        return
    if what == "end":
        row.peak_bytes = said["peak_bytes"]
    else:
        row.seconds.append(said["seconds"])


def _title(row: IsaFigures) -> str:
    return f"{row.model} {row.side} {row.set} {row.engine} {row.precision}"


def _save(results: Sequence[IsaFigures], cpu: Cpu, name: str) -> None:
    """The rows of the last model into the planner's table; what was not measured stays as it is."""
    last = [row for row in results if row.model == results[-1].model]
    made = isa_report.table_rows(last, cpu, f"bench/results/{name}.md")
    old = read_rows(PATH.read_text(encoding="utf-8"))
    PATH.write_text(write_rows(isa_report.merged(old, made)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
