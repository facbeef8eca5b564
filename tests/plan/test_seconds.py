"""Predicted against measured time: the figures of docs/decisions/0014-the-plan.md."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nutshell.plan import Offer, Rates, StageNeed
from nutshell.plan.seconds import pass_seconds, predicted_seconds

# Of two server cores with AVX512-VNNI and BF16.
RATES = Rates({"f32": 473e9, "bf16": 993e9, "int8": 1729e9}, 52e9, 400e6)
UNETS = {
    ("tiny-sd", 512): (323_384_964, 488e9),
    ("tiny-sd", 256): (323_384_964, 109e9),
    ("sd15", 512): (859_520_964, 808e9),
    ("sd15", 256): (859_520_964, 181e9),
    ("decoder", 512): (49_490_199, 2519e9),
}
MEASURED = [
    ("openvino", "f32", "tiny-sd", 512, 1.17),
    ("openvino", "f32", "tiny-sd", 256, 0.25),
    ("openvino", "bf16", "tiny-sd", 512, 0.63),
    ("openvino", "bf16", "tiny-sd", 256, 0.137),
    ("openvino", "int8", "tiny-sd", 512, 0.455),
    ("openvino", "int8", "tiny-sd", 256, 0.095),
    ("openvino", "f32", "sd15", 512, 1.92),
    ("openvino", "bf16", "sd15", 512, 1.10),
    ("openvino", "bf16", "sd15", 256, 0.235),
    ("openvino", "bf16", "decoder", 512, 2.9),
    ("onnx", "f32", "tiny-sd", 512, 1.23),
    ("onnx", "f32", "sd15", 512, 2.20),
    ("torch", "f32", "tiny-sd", 512, 1.97),
    ("torch", "f32", "sd15", 512, 3.82),
]


@pytest.mark.parametrize(("engine", "precision", "model", "side", "seconds"), MEASURED)
def test_a_pass_within_a_quarter(engine: str, precision: str, model: str, side: int, seconds: float) -> None:
    parameters, operations = UNETS[model, side]
    stage = StageNeed("unet", parameters, 4 * parameters, 0, int(operations))
    predicted = pass_seconds(stage, Offer(engine, "cpu", (precision,), True), precision, RATES)
    assert seconds / 1.25 < predicted < seconds * 1.25


def test_the_load_of_a_small_model_is_its_graph() -> None:
    """11 million values in 389 nodes: 1.0 s to compile on two slow cores of 2.6 ms a node."""
    slow = replace(RATES, node_build_seconds=2.6e-3, memory_bytes_per_second=14.5e9)
    offer = Offer("openvino", "cpu", ("bf16",), True)
    stage = StageNeed("unet", 11_005_412, 22_010_824, 0, int(1.1e9), passes=40, nodes=389)
    bare = StageNeed("unet", 11_005_412, 22_010_824, 0, int(1.1e9), passes=40)
    load = predicted_seconds([stage], 20, offer, "bf16", slow, slow).load
    assert load - predicted_seconds([bare], 20, offer, "bf16", slow, slow).load == pytest.approx(1.0, rel=0.05)


def test_weights_in_place() -> None:
    """ONNX Runtime over mapped float32 weights: 1.42 s a pass at 512 pixels, 0.35 at 256."""
    for side, seconds in ((512, 1.42), (256, 0.35)):
        parameters, operations = UNETS["tiny-sd", side]
        stage = StageNeed("unet", parameters, 4 * parameters, 0, int(operations))
        predicted = pass_seconds(stage, Offer("onnx", "cpu", ("f32",), True, lean=True), "f32", RATES)
        assert seconds / 1.25 < predicted < seconds * 1.25
