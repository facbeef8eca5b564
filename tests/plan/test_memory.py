"""Predicted against measured peaks, in megabytes: the figures of docs/decisions/0014-the-plan.md."""

from __future__ import annotations

import pytest

from nutshell.plan import Offer, StageNeed
from nutshell.plan.memory import overlap_bytes, peak_memory

MB = 1_000_000
TEXT = StageNeed("text_encoder", 85 * MB, 170 * MB, 3 * MB)
DECODER = StageNeed("vae_decoder", 49 * MB, 99 * MB, 201 * MB)


def unet(parameters: int, activations: int) -> StageNeed:
    return StageNeed("unet", parameters, 2 * parameters, activations * MB)


TINY, SD15 = 323_384_964, 859_520_964
# Weights stored in float16; whole pictures with all stages loaded.
MEASURED = [
    ("openvino", "bf16", (unet(TINY, 25),), 1455),
    ("openvino", "f32", (unet(TINY, 25),), 2111),
    ("openvino", "bf16", (unet(SD15, 105),), 3636),
    ("openvino", "f32", (unet(SD15, 105),), 5372),
    ("onnx", "f32", (unet(TINY, 25),), 2914),
    ("openvino", "bf16", (TEXT, unet(TINY, 25), DECODER), 1670),
    ("openvino", "f32", (TEXT, unet(TINY, 25), DECODER), 2494),
    ("onnx", "f32", (TEXT, unet(TINY, 25), DECODER), 3296),
    ("openvino", "bf16", (DECODER,), 326),
    ("openvino", "f32", (DECODER,), 525),
    ("onnx", "f32", (DECODER,), 700),
]


@pytest.mark.parametrize(("engine", "precision", "stages", "megabytes"), MEASURED)
def test_a_peak_is_promised(engine: str, precision: str, stages: tuple[StageNeed, ...], megabytes: int) -> None:
    """Never above the prediction by more than 15%, and the prediction not wasteful either."""
    predicted = peak_memory(stages, Offer(engine, "cpu", (precision,), True), precision, staged=False).need_bytes
    assert megabytes * MB < 1.15 * predicted
    assert predicted < 1.3 * megabytes * MB


@pytest.mark.parametrize(("stage", "megabytes"), [(DECODER, 506), (unet(TINY, 25), 1754)], ids=["decoder", "unet"])
def test_weights_in_place(stage: StageNeed, megabytes: int) -> None:
    """Stored in half precision they are widened at each pass."""
    lean = Offer("onnx", "cpu", ("f32",), True, lean=True)
    need = peak_memory((stage,), lean, "f32", staged=True).need_bytes
    assert megabytes * MB < 1.15 * need < 1.65 * megabytes * MB


def test_weights_in_place_in_single_precision_take_their_pages_and_little_more() -> None:
    lean = Offer("onnx", "cpu", ("f32",), True, lean=True)
    stage = StageNeed("unet", TINY, 4 * TINY, 100 * MB)
    assert 4 * TINY < peak_memory((stage,), lean, "f32", staged=True).need_bytes < 4 * TINY + 400 * MB


def test_on_a_card_the_weights_are_its_own() -> None:
    offer = Offer("torch", "cuda", ("f16",), True, memory_bytes=8 * 10**9)
    memory = peak_memory((unet(SD15, 105),), offer, "f16", staged=True)
    assert 2 * SD15 < memory.device_bytes < 3 * 10**9
    assert memory.need_bytes > 2 * SD15


def test_stages_that_are_in_use_together_are_counted_together() -> None:
    offer = Offer("openvino", "cpu", ("f32",), True)
    outer = StageNeed("unet_outer", TINY, 2 * TINY, 20 * MB, with_previous=True)
    alone, both = (
        peak_memory((TEXT, *stages, DECODER), offer, "f32", staged=True).need_bytes
        for stages in ((unet(TINY, 25),), (unet(TINY, 25), outer))
    )
    # In float32, and a little more for the graph.
    assert 4 * TINY < both - alone < 4 * TINY + 100 * MB
    # One after another it would cost nothing.
    after = StageNeed("unet_outer", TINY, 2 * TINY, 20 * MB)
    assert peak_memory((TEXT, unet(TINY, 25), after, DECODER), offer, "f32", staged=True).need_bytes == alone


def test_what_overlaps_is_every_file() -> None:
    assert overlap_bytes((TEXT, unet(TINY, 25), DECODER)) == TEXT.weight_bytes + 2 * TINY + DECODER.weight_bytes
    assert overlap_bytes(()) == 0
