"""What a card says of a model before it is here is what its files say of it afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

import nutshell
from nutshell.catalogue import cards
from nutshell.errors import UnsupportedModel
from nutshell.pipeline import Request
from nutshell.pipeline.needs import card_need, facts_need, order_need

PRICED = [card for card in cards().values() if {"text_encoder", "unet", "vae"} <= card.shapes.keys()]
GIGA = 10**9


def test_measured_operations() -> None:
    """485 GFLOP a pass of tiny-sd at 512 pixels, 803 of SD 1.5, 2514 of the full decoder (counted by another tool)."""
    for name, expected in (("tiny-sd", 485), ("stable-diffusion-1.5", 803)):
        need = {stage.name: stage for stage in card_need(cards()[name], 512, 512, 20).stages}
        assert need["unet"].operations == pytest.approx(expected * GIGA, rel=0.01)
        assert need["vae_decoder"].operations == pytest.approx(2514 * GIGA, rel=0.01)


@pytest.mark.parametrize("card", PRICED, ids=lambda card: card.name)
def test_parameters_are_those_of_the_card(card: object) -> None:
    need = {stage.name: stage for stage in card_need(card, card.width, card.height, card.steps).stages}  # type: ignore[attr-defined,arg-type]
    wanted = card.parameters["unet"]  # type: ignore[attr-defined]
    # SDXL's size embedding is left out.
    assert 0.99 * wanted < need["unet"].parameters <= wanted
    guided = card.guidance != 1.0 and "time_cond_proj_dim" not in card.shapes["unet"]  # type: ignore[attr-defined]
    assert need["unet"].passes == card.steps * (2 if guided else 1)  # type: ignore[attr-defined]


def test_sizes_that_are_not_known_are_said() -> None:
    with pytest.raises(UnsupportedModel, match="unet"):
        card_need(cards()["small-sd"], 512, 512, 20)


def test_an_order_needs_what_its_model_usually_does() -> None:
    with nutshell.load("artist") as model:
        order = model._order(Request("a cat"))
        exact = order_need(order, model.facts, model._parts)
        parts = {name: part.weights for name, part in model._parts.items()}
        usual = facts_need(model.facts, parts, order.width, order.height, order.run.steps)
    assert exact == usual
    assert [stage.passes for stage in exact.stages] == [2, 2 * order.run.steps, 1]


def test_a_longer_prompt_and_a_source_need_more(tmp_path: Path) -> None:
    from PIL import Image

    with nutshell.load("artist") as model:
        long = order_need(model._order(Request("a cat " * 60)), model.facts, model._parts)
        again = order_need(
            model._order(Request("a cat", image=Image.new("RGB", (256, 256)))), model.facts, model._parts
        )
    assert long.stages[0].passes > 2
    assert [stage.name for stage in again.stages] == ["text_encoder", "unet", "vae_decoder", "vae_encoder"]
