"""Choose engine, precision and memory mode from what the model needs and the machine has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nutshell.errors import EngineUnavailable, NotEnoughMemory
from nutshell.machine import Machine

_VALUE_BYTES = {"f32": 4, "f16": 2, "bf16": 2}

# Interpreter, libraries and page tables of a process that has an engine loaded, measured on Linux.
_BASE_BYTES = 170_000_000

# Engines keep a repacked copy of the weights; while it is made the mapped ones are touched too.
_COPIES = {"openvino": 1.0, "onnx": 2.0, "torch": 1.0, "numpy": 1.0}
_ACTIVATION_SLACK = 1.5


@dataclass(frozen=True)
class StageNeed:
    """What the cost interpreter says of one stage."""

    name: str
    parameters: int
    weight_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class EngineChoice:
    """An engine that works here and what it can compute in, best first."""

    name: str
    precisions: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """How a request will be run. `staged`: each stage is freed before the next is loaded.

    need_bytes: estimated peak of resident memory. reasons: one sentence for each choice.
    """

    engine: str
    precision: str
    threads: int | None
    staged: bool
    need_bytes: int
    reasons: tuple[str, ...]


def make_plan(
    machine: Machine,
    stages: Sequence[StageNeed],
    engine: EngineChoice,
    precision: str | None = None,
    threads: int | None = None,
) -> Plan:
    """Plan a run. `precision` and `threads` None: choose. Raises NotEnoughMemory or EngineUnavailable."""
    reasons = [f"{engine.name}: the fastest engine installed here"]
    if precision is None:
        precision = engine.precisions[0]
        reasons.append(f"{precision}: the fastest precision of {engine.name} on this processor")
    elif precision not in engine.precisions:
        raise EngineUnavailable(
            f"{engine.name} has no {precision} on this machine", f"use one of {', '.join(engine.precisions)}"
        )
    needs = [stage_bytes(stage, engine.name, precision) for stage in stages]
    together, apart = _BASE_BYTES + sum(needs), _BASE_BYTES + max(needs)
    free = machine.usable_bytes
    if apart > free:
        raise NotEnoughMemory(apart, free, "close other programs, or ask for a smaller size or model")
    # Half of what is free, so that a small machine stays usable meanwhile.
    staged = together > free // 2
    reasons.append(
        f"{'one stage at a time' if staged else 'all stages stay loaded'}: together they need about "
        f"{together / 1e6:.0f} MB of {free / 1e6:.0f} MB free"
    )
    return Plan(engine.name, precision, threads, staged, apart if staged else together, tuple(reasons))


def stage_bytes(stage: StageNeed, engine: str, precision: str) -> int:
    """Estimated memory of one loaded stage."""
    packed = stage.parameters * _VALUE_BYTES[precision] * _COPIES[engine]
    return int(packed + stage.weight_bytes + stage.activation_bytes * _ACTIVATION_SLACK)
