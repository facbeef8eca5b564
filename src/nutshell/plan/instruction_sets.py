"""What processors make of precisions, by class of their instruction sets: one small table of measured times.

The table is data (`instruction_sets.json`), each row with its source; `python -m bench isa --save` rewrites it. What
`nutshell bench --quick` measured on the machine itself counts before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from nutshell.language import Text, tr
from nutshell.machine import Cpu

PATH = Path(__file__).with_name("instruction_sets.json")

_ABOUT = (
    "Time of one pass of a denoiser, over that of OpenVINO in f32 with the same instruction sets. Rewritten by: "
    "python -m bench isa --save"
)

Basis = Literal["measured", "documentation", "guess"]


@dataclass(frozen=True)
class SetClass:
    """Processors that engines treat alike. feature: that tells them from the next, "" for the last.

    adds_up: eight bits are multiplied and added up by one instruction (VNNI, AMX), and are a gain in speed.
    """

    name: str
    title: Text
    feature: str
    adds_up: bool = False


X86 = (
    SetClass("amx", tr("AMX"), "amx_int8", adds_up=True),
    SetClass("avx512_vnni", tr("AVX-512 with VNNI"), "avx512_vnni", adds_up=True),
    SetClass("avx2_vnni", tr("AVX2 with VNNI"), "avx_vnni", adds_up=True),
    SetClass("avx512", tr("AVX-512 without VNNI"), "avx512f"),
    SetClass("avx2", tr("AVX2 without VNNI"), "avx2"),
    SetClass("sse41", tr("neither AVX2 nor VNNI"), ""),
)
"""Of x86, best first."""
ARM = SetClass("neon", tr("NEON"), "")


@dataclass(frozen=True)
class Times:
    """One row: the time of a pass over that of OpenVINO in f32 with the same instruction sets.

    source: where it was measured or is written.
    """

    set: str
    engine: str
    precision: str
    times: float
    basis: Basis
    source: str


def set_class(cpu: Cpu) -> SetClass | None:
    """The class of a processor; None where its architecture is none of these."""
    if cpu.architecture == "aarch64" or "neon" in cpu.features:
        return ARM
    if cpu.architecture not in ("x86_64", "i686") and not cpu.features:
        return None
    return next(each for each in X86 if each.feature in cpu.features or not each.feature)


def times(cpu: Cpu, engine: str, precision: str) -> Times | None:
    """What the table has of a precision on such processors; None where nothing is known."""
    found = set_class(cpu)
    return None if found is None else table().get((found.name, engine, precision))


def int8_times(cpu: Cpu, engine: str) -> Times | None:
    """The row of int8, its time over that of the same engine in f32; None where one of both is not known."""
    eight, plain = times(cpu, engine, "int8"), times(cpu, engine, "f32")
    if eight is None or engine == "openvino":
        return eight
    return None if plain is None else replace(eight, times=eight.times / plain.times)


@cache
def table() -> Mapping[tuple[str, str, str], Times]:
    """Every row, by class, engine and precision."""
    return {(row.set, row.engine, row.precision): row for row in read_rows(PATH.read_text(encoding="utf-8"))}


def read_rows(text: str) -> tuple[Times, ...]:
    """The rows of such a file. Raises ValueError over one that is not as it should be."""
    rows = tuple(Times(**row) for row in json.loads(text)["rows"])
    names = {each.name for each in (*X86, ARM)}
    for row in rows:
        if row.set not in names or row.basis not in get_args(Basis) or not 0.01 < row.times < 100 or not row.source:
            raise ValueError(f"no row of times: {row}")
    return rows


def write_rows(rows: Sequence[Times]) -> str:
    """The text of such a file: a row a line, so that what a measurement changed is seen."""
    lines = ",\n".join("  " + json.dumps(vars(row), ensure_ascii=False) for row in rows)
    return f'{{\n "about": {json.dumps(_ABOUT)},\n "rows": [\n{lines}\n ]\n}}\n'
