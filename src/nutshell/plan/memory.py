"""Predicted peak memory. Where each constant was measured stands in docs/decisions/0014-the-plan.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nutshell.plan.need import StageNeed
from nutshell.plan.offers import Offer

VALUE_BYTES = {"f32": 4, "f16": 2, "bf16": 2, "int8": 1}

# So much of a file is in memory at most while its weights are quantized; then its pages are handed back.
QUANTIZED_AT_ONCE = 64_000_000

# A layer in eight bits on its way to a file, and a piece of it in float32.
_QUANTIZING_BYTES = 90_000_000

# What every loaded stage takes beside its weights: the graph, buffers of the runtime.
_STAGE_BYTES = 15_000_000
# PyTorch's context on a card, which is none of the process's own memory.
_CONTEXT_BYTES = 500_000_000


@dataclass(frozen=True)
class Habit:
    """How an engine keeps house.

    base_bytes: of the process with the engine loaded, Python and all. packed: copies of the weights that stay, in
    the working precision. making: those while a stage is compiled. activations: times what is alive at once.
    mapped: the stored weights stay in use, so their pages stay resident. window: or only this many bytes of them, for
    they are dropped as the run goes on where there is no room for all. widened: bytes of weights in half precision
    that are in float32 at a time.
    """

    base_bytes: int
    packed: float
    making: float
    activations: float
    mapped: bool = False
    window: int = 0
    widened: int = 0


_HABITS = {
    "openvino": Habit(180_000_000, 1.02, 1.02, 1.1),
    "onnx": Habit(150_000_000, 1.25, 2.0, 1.85),
    "torch": Habit(420_000_000, 1.0, 1.0, 2.5),
    "numpy": Habit(110_000_000, 0.1, 0.1, 8.0, mapped=True, widened=60_000_000),
}
_LEAN = Habit(100_000_000, 0.0, 0.0, 1.15, mapped=True, window=48_000_000, widened=28_000_000)
# Host side of a process that computes on a card: the libraries of the card are large.
_CARD_BASE_BYTES = 1_200_000_000


@dataclass(frozen=True)
class Memory:
    """need_bytes: peak of resident main memory. device_bytes: peak on a card, 0 without one of its own memory.
    spare_bytes: pages of files that stay, too, where there is room for them."""

    need_bytes: int
    device_bytes: int = 0
    spare_bytes: int = 0


def peak_memory(stages: Iterable[StageNeed], offer: Offer, precision: str, staged: bool, held_bytes: int = 0) -> Memory:
    """The peak of one run. staged: each stage is freed before the next. held_bytes: what the process held before."""
    stages = tuple(stages)
    habit = _LEAN if offer.lean else _HABITS[offer.engine]
    if offer.memory_bytes is None:
        base = max(habit.base_bytes, held_bytes)
        need = base + _most(stages, habit, offer, precision, staged)
        return Memory(need, spare_bytes=max((_spare(stage, habit) for stage in stages), default=0))
    # The file's pages are read once on their way to the card.
    base = max(_CARD_BASE_BYTES, held_bytes)
    host = base + max((stage.weight_bytes for stage in stages), default=0)
    return Memory(host, _CONTEXT_BYTES + _most(stages, habit, offer, precision, staged, stored=False))


def _spare(stage: StageNeed, habit: Habit) -> int:
    return max(0, stage.weight_bytes - habit.window) if habit.window else 0


def overlap_bytes(stages: Iterable[StageNeed]) -> int:
    """What is taken beyond that where all stages are compiled at once: the files' pages, which are let go one stage
    after another otherwise."""
    return sum(stage.weight_bytes for stage in stages)


def _most(
    stages: tuple[StageNeed, ...], habit: Habit, offer: Offer, precision: str, staged: bool, stored: bool = True
) -> int:
    """The most that the stages take at once: while one is made, while one runs, or all together."""
    most = 0
    for group in _together(stages) if staged else (stages,):
        most = max(most, _most_of(group, habit, offer, precision, stored))
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


def _most_of(stages: tuple[StageNeed, ...], habit: Habit, offer: Offer, precision: str, stored: bool) -> int:
    """The most that stages take which stay once they are loaded."""
    held, peak, widest = 0.0, 0.0, 0.0
    arithmetic = offer.arithmetic(precision)
    for stage in stages:
        weights = weight_bytes(stage, precision, arithmetic)
        mapped = stage.weight_bytes - _spare(stage, habit) if habit.mapped else 0
        # With weights in place, those too lie in a file.
        made = 0 if habit.window else _made_bytes(stage, precision)
        kept = weights * habit.packed + made + _STAGE_BYTES + mapped
        read = mapped if habit.mapped else stage.weight_bytes
        if precision == "int8":
            read = min(read, QUANTIZED_AT_ONCE)
        making = weights * habit.making + made + _STAGE_BYTES + (read if stored else 0)
        if habit.window and precision == "int8":
            making += _QUANTIZING_BYTES
        # Between the layers of an int8 network values go in half precision or float32; the larger is reckoned.
        running = (
            stage.activation_bytes
            * VALUE_BYTES["f32" if precision == "int8" else arithmetic]
            / VALUE_BYTES["f32"]
            * habit.activations
        )
        if stage.weight_bytes < VALUE_BYTES["f32"] * stage.parameters:
            # At the most all of them; a small part has not as many.
            running += min(habit.widened, VALUE_BYTES["f32"] * stage.parameters)
        peak = max(peak, held + making, held + kept + running)
        widest = max(widest, running)
        held += kept
    return int(max(peak, held + widest))


def weight_bytes(stage: StageNeed, precision: str, arithmetic: str) -> int:
    """Of a stage's weights as an engine packs them."""
    if precision != "int8_weights":
        return stage.parameters * VALUE_BYTES[precision]
    rest = stage.parameters - stage.linear_parameters
    return stage.linear_parameters * VALUE_BYTES["int8"] + rest * VALUE_BYTES[arithmetic]


def _made_bytes(stage: StageNeed, precision: str) -> int:
    """Eight-bit values that are made on the way in, which an engine keeps beside its packed ones."""
    counts = {"int8": stage.parameters, "int8_weights": stage.linear_parameters}
    return counts.get(precision, 0) * VALUE_BYTES["int8"]
