"""Predicted peak memory. Where each constant was measured stands in docs/decisions/0014-the-plan.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nutshell.plan.need import StageNeed
from nutshell.plan.offers import Offer

VALUE_BYTES = {"f32": 4, "f16": 2, "bf16": 2, "int8": 1}

# What every loaded stage takes beside its weights: the graph, buffers of the runtime.
_STAGE_BYTES = 15_000_000
# PyTorch's context on a card, which is none of the process's own memory.
_CONTEXT_BYTES = 500_000_000


@dataclass(frozen=True)
class Habit:
    """How an engine keeps house.

    base_bytes: of the process with the engine loaded, Python and all. packed: copies of the weights that stay, in
    the working precision. making: those while a stage is compiled. activations: times what is alive at once.
    mapped: the stored weights stay in use, so their pages stay resident while there is room. Those in half precision
    are widened at each pass, all of them at its beginning, while half of the file's pages are still there.
    """

    base_bytes: int
    packed: float
    making: float
    activations: float
    mapped: bool = False


_HABITS = {
    "openvino": Habit(180_000_000, 1.02, 1.02, 1.1),
    "onnx": Habit(150_000_000, 1.25, 2.0, 1.85),
    "torch": Habit(420_000_000, 1.0, 1.0, 2.5),
    "numpy": Habit(110_000_000, 0.1, 0.1, 8.0, mapped=True),
}
_LEAN = Habit(150_000_000, 0.0, 0.0, 1.5, mapped=True)
# Host side of a process that computes on a card: the libraries of the card are large.
_CARD_BASE_BYTES = 1_200_000_000


@dataclass(frozen=True)
class Memory:
    """need_bytes: peak of resident main memory. device_bytes: peak on a card, 0 without one of its own memory."""

    need_bytes: int
    device_bytes: int = 0


def peak_memory(stages: Iterable[StageNeed], offer: Offer, precision: str, staged: bool, held_bytes: int = 0) -> Memory:
    """The peak of one run. staged: each stage is freed before the next. held_bytes: what the process held before."""
    stages = tuple(stages)
    habit = _LEAN if offer.lean else _HABITS[offer.engine]
    if offer.memory_bytes is None:
        base = max(habit.base_bytes, held_bytes)
        return Memory(base + _most(stages, habit, precision, staged))
    # The file's pages are read once on their way to the card.
    base = max(_CARD_BASE_BYTES, held_bytes)
    host = base + max((stage.weight_bytes for stage in stages), default=0)
    return Memory(host, _CONTEXT_BYTES + _most(stages, habit, precision, staged, stored=False))


def overlap_bytes(stages: Iterable[StageNeed]) -> int:
    """What is taken beyond that where all stages are compiled at once: the files' pages, which are let go one stage
    after another otherwise."""
    return sum(stage.weight_bytes for stage in stages)


def _most(stages: tuple[StageNeed, ...], habit: Habit, precision: str, staged: bool, stored: bool = True) -> int:
    """The most that the stages take at once: while one is made, while one runs, or all together."""
    most = 0
    for group in _together(stages) if staged else (stages,):
        most = max(most, _most_of(group, habit, precision, stored))
    return most


def _together(stages: tuple[StageNeed, ...]) -> list[tuple[StageNeed, ...]]:
    """Those that are loaded at once, where each is freed before the next."""
    groups: list[tuple[StageNeed, ...]] = []
    for stage in stages:
        if stage.with_previous and groups:
            groups[-1] = (*groups[-1], stage)
        else:
            groups.append((stage,))
    return groups


def _most_of(stages: tuple[StageNeed, ...], habit: Habit, precision: str, stored: bool) -> int:
    """The most that stages take which stay once they are loaded."""
    held, peak, widest = 0.0, 0.0, 0.0
    for stage in stages:
        weights = stage.parameters * VALUE_BYTES[precision]
        mapped = stage.weight_bytes if habit.mapped else 0
        kept = weights * habit.packed + _STAGE_BYTES + mapped
        making = weights * habit.making + _STAGE_BYTES + (stage.weight_bytes if stored else 0)
        running = stage.activation_bytes * VALUE_BYTES[_activation(precision)] / VALUE_BYTES["f32"] * habit.activations
        if habit.mapped and stage.weight_bytes < VALUE_BYTES["f32"] * stage.parameters:
            running += VALUE_BYTES["f32"] * stage.parameters - mapped / 2
        peak = max(peak, held + making, held + kept + running)
        widest = max(widest, running)
        held += kept
    return int(max(peak, held + widest))


def _activation(precision: str) -> str:
    """Between the layers of an eight-bit network values go in half precision or float32; the larger is reckoned."""
    return "f32" if precision == "int8" else precision
