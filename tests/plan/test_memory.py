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


# Anonymous memory and libraries of one pass with weights in place, stored in float16, and the pages of a window.
IN_PLACE = [
    (DECODER, 240 + 41 + 48),
    (unet(TINY, 25), 117 + 40 + 48),
    (unet(TINY, 100), 162 + 40 + 48),
    (TEXT, 72 + 37 + 48),
]


@pytest.mark.parametrize(("stage", "megabytes"), IN_PLACE)
def test_weights_in_place(stage: StageNeed, megabytes: int) -> None:
    """Stored in half precision they are widened at each pass, a piece at a time."""
    lean = Offer("onnx", "cpu", ("f32",), True, lean=True)
    need = peak_memory((stage,), lean, "f32", staged=True).need_bytes
    assert megabytes * MB < 1.15 * need < 1.65 * megabytes * MB


def test_pages_of_weights_in_place_may_go() -> None:
    lean = Offer("onnx", "cpu", ("f32",), True, lean=True)
    half, single = (
        peak_memory((StageNeed("unet", TINY, size * TINY, 100 * MB),), lean, "f32", staged=True) for size in (2, 4)
    )
    assert half.need_bytes < 350 * MB
    assert single.need_bytes < half.need_bytes
    assert single.spare_bytes - half.spare_bytes == 2 * TINY


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
