"""Predicted time. Where each constant was measured stands in docs/decisions/0014-the-plan.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nutshell.plan.memory import VALUE_BYTES, weight_bytes
from nutshell.plan.need import StageNeed
from nutshell.plan.offers import Offer
from nutshell.plan.rates import Rates
from nutshell.plan.shares import SHARE

_LEAN_SHARE = 0.72
# Half the time of float32 in place; by processor time on a busy machine it was a third, but none at rest was timed.
_LEAN_INT8_SHARE = 0.3
_CARD_SHARE = 0.35
_IMPORT_SECONDS = {"openvino": 0.5, "onnx": 0.3, "torch": 3.7, "numpy": 0.2}
# Packing weights reads and writes each value some times: bytes moved for one value.
_PACKED_BYTES = 50.0
# What a node takes in each pass beside its operations.
_NODE_PASS_SECONDS = 6e-6
# ONNX Runtime widens and lays out weights four times as slowly; in place it widens those in half precision each pass.
_PACKING_TIMES = {"onnx": 4.0}
_WIDENING_TIMES = 0.33
# Making a graph ready, by OpenVINO's time for it, which is what is measured; eager PyTorch makes none.
_BUILD_TIMES = {"onnx": 0.3, "torch": 0.0, "numpy": 0.0}
_DENOISERS = ("unet", "unet_outer")
_PASS_SECONDS = 0.002  # Python, the sampler, the call itself.


@dataclass(frozen=True)
class Seconds:
    """load: until all stages are compiled. step: one denoising step, both passes of guidance. total: one picture."""

    load: float
    step: float
    total: float


def predicted_seconds(
    stages: Iterable[StageNeed], steps: int, offer: Offer, precision: str, rates: Rates, processor: Rates
) -> Seconds:
    """rates: of the device. processor: of the machine, which packs the weights and reads them from disk."""
    stages = tuple(stages)
    load = _IMPORT_SECONDS[offer.engine]
    running = denoising = 0.0
    for stage in stages:
        load += stage.weight_bytes / processor.read_bytes_per_second
        if not offer.lean or precision == "int8":
            load += packing_seconds(stage, processor) * _PACKING_TIMES.get(offer.engine, 1.0)
        load += stage.nodes * processor.node_build_seconds * _BUILD_TIMES.get(offer.engine, 1.0)
        seconds = stage.passes * pass_seconds(stage, offer, precision, rates)
        running += seconds
        if stage.name in _DENOISERS:
            denoising += seconds
    return Seconds(load, denoising / max(1, steps), load + running)


def pass_seconds(stage: StageNeed, offer: Offer, precision: str, rates: Rates) -> float:
    """Computing, then reading the weights: on small pictures the second is most of it."""
    arithmetic = offer.arithmetic(precision)
    kind = arithmetic if precision == "int8_weights" else precision
    share = _CARD_SHARE if offer.on_card else SHARE[offer.engine, kind]
    if kind in offer.times:
        share = SHARE["openvino", "f32"] / offer.times[kind]
    weights = weight_bytes(stage, precision, arithmetic)
    # ONNX Runtime widens most convolutions back: its share for int8 is one of the rate of float32.
    rate = rates.of(arithmetic if offer.engine == "onnx" else kind)
    if offer.lean:
        share, rate = (_LEAN_INT8_SHARE, rates.of("int8")) if precision == "int8" else (_LEAN_SHARE, rate)
        weights = stage.parameters if precision == "int8" else stage.weight_bytes
    computing = stage.operations / (rate * share)
    if offer.lean and precision != "int8" and stage.weight_bytes < VALUE_BYTES["f32"] * stage.parameters:
        computing += packing_seconds(stage, rates) * _WIDENING_TIMES
    overhead = _PASS_SECONDS + stage.nodes * _NODE_PASS_SECONDS
    return computing + weights / rates.memory_bytes_per_second + overhead


def packing_seconds(stage: StageNeed, processor: Rates) -> float:
    """To bring a stage's weights into the layout that an engine computes with."""
    return stage.parameters * _PACKED_BYTES / processor.memory_bytes_per_second
