"""Measured rates, kept from one start to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nutshell.machine import Cpu
from nutshell.plan.kept import positive, read_table, state_folder, write_table
from nutshell.plan.rates import Rates

FILE = "rates.json"


def rates_key(cpu: Cpu, engine_version: str) -> str:
    """What a measurement holds for: this processor, as many cores, this version of the engine."""
    return f"{cpu.model or cpu.architecture or 'unknown'} | {cpu.cores} cores | {engine_version or 'no engine'}"


def keep_rates(rates: Rates, key: str, folder: Path | None = None) -> Path | None:
    """Keep `rates`; where they lie now, None if they could not be written."""
    folder = folder or state_folder()
    path = folder / FILE if folder else None
    row = {
        "operations_per_second": dict(rates.operations_per_second),
        "memory_bytes_per_second": rates.memory_bytes_per_second,
        "read_bytes_per_second": rates.read_bytes_per_second,
        "node_build_seconds": rates.node_build_seconds,
    }
    return path if write_table(path, {**read_table(path), key: row}) else None


def kept_rates(key: str, otherwise: Rates, folder: Path | None = None) -> Rates:
    """What was measured under `key`; `otherwise` where nothing was. Figures that are none are left out."""
    folder = folder or state_folder()
    row = read_table(folder / FILE if folder else None).get(key)
    if not isinstance(row, dict) or not isinstance(row.get("operations_per_second"), dict):
        return otherwise
    measured = {str(name): rate for name, value in row["operations_per_second"].items() if (rate := positive(value))}
    if "f32" not in measured:
        return otherwise
    return replace(
        otherwise,
        # Half precision that was not measured is not had: a guess beside measured figures would win or lose by chance.
        operations_per_second=measured,
        memory_bytes_per_second=positive(row.get("memory_bytes_per_second")) or otherwise.memory_bytes_per_second,
        read_bytes_per_second=positive(row.get("read_bytes_per_second")) or otherwise.read_bytes_per_second,
        node_build_seconds=positive(row.get("node_build_seconds")) or otherwise.node_build_seconds,
        guessed=False,
    )
