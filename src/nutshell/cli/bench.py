"""`nutshell bench --quick`: measure this machine for the planner."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import one_line, padded, words
from nutshell.errors import EngineUnavailable
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from pathlib import Path

    from nutshell.plan import Rates

DESCRIPTION = tr(
    "Measure what this machine computes and reads in a second, and keep it: `nutshell models` and `nutshell plan` "
    "then reckon with it. Takes under 20 s. Close other programs first: what they take is missing from the figures."
)
QUICK_HELP = tr("the measurement for the planner (there is no other yet)")
UNKEPT = tr("not kept: there is no folder to keep it in that can be written")


def main(given: Sequence[str]) -> int:
    parser = make_parser("bench", DESCRIPTION)
    parser.add_argument("--quick", action="store_true", help=QUICK_HELP)
    add_settings(parser, "models", "store", "sticks", "json", "log_level")
    settings = settle(parser.parse_args(given))

    from nutshell.engines import open_engine
    from nutshell.machine import lack, probe
    from nutshell.pipeline.quick_bench import measure_rates
    from nutshell.plan import installed_engines, keep_rates, rates_key
    from nutshell.plan.settled import models_folder
    from nutshell.store import builtin_folder
    from nutshell.store.places import Places

    begun, machine, installed = time.perf_counter(), probe(gpus=False), installed_engines()
    # As the plan: not one that is no longer made for this processor.
    usable = [name for name in ("openvino", "onnx") if installed.has(name) and lack(machine, name) is None]
    name = next(iter(usable), None)
    if name is None:
        raise EngineUnavailable(tr("no engine is installed"), tr("pip install openvino"))
    folder = models_folder(Places.of(settings))
    rates = measure_rates(open_engine(name), (folder, builtin_folder()), machine.usable_bytes)
    kept = keep_rates(rates, rates_key(machine.cpu, installed.openvino))
    if settings["json"]:
        print(json.dumps(_plain(rates, name, kept, time.perf_counter() - begun)))
    else:
        for line in lines(rates, name, kept, time.perf_counter() - begun):
            print(line)
    return 0


def lines(rates: Rates, engine: str, kept: Path | None, seconds: float) -> Iterator[str]:
    """For people."""
    yield words(tr("measured in {seconds:.0f} s, with {engine}:", seconds=seconds, engine=engine))
    for precision, rate in rates.operations_per_second.items():
        yield _row(one_line(precision), f"{rate / 1e9:8,.0f}", tr("thousand million operations a second"))
    yield _row(words(tr("memory")), f"{rates.memory_bytes_per_second / 1e9:8,.1f}", tr("GB a second"))
    disk = f"{rates.read_bytes_per_second / 1e9:8,.1f}"
    yield _row(words(tr("disk")), disk, tr("GB a second, reading a model"))
    built = f"{rates.node_build_seconds * 1e3:8,.1f}"
    yield _row(words(tr("graph")), built, tr("ms to make ready one node of it"))
    yield words(UNKEPT if kept is None else tr("kept in {path}", path=kept))


def _row(name: str, figure: str, unit: Text) -> str:
    return f"  {padded(name, 12)}  {figure}  {words(unit)}"


def _plain(rates: Rates, engine: str, kept: Path | None, seconds: float) -> dict[str, object]:
    return {
        "engine": engine,
        "operations_per_second": dict(rates.operations_per_second),
        "memory_bytes_per_second": rates.memory_bytes_per_second,
        "read_bytes_per_second": rates.read_bytes_per_second,
        "node_build_seconds": rates.node_build_seconds,
        "seconds": round(seconds, 3),
        "kept": str(kept) if kept is not None else None,
    }
