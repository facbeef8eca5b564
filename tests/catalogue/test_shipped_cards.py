"""The cards that ship: what they say of a model agrees with itself and with the networks."""

from __future__ import annotations

import math

import pytest

from bench.models import text_shapes, unet_shapes, vae_shapes
from nutshell.catalogue import ModelCard, shipped
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.unet_config import UNetConfig
from nutshell.sampling import find_sampler

CARDS = shipped()
# Issue 5 names these.
WANTED = {
    *("artist", "tiny-sd", "small-sd", "bk-sdm-base", "bk-sdm-small", "bk-sdm-tiny", "stable-diffusion-1.5"),
    *("stable-diffusion-2.1", "sd-turbo", "sdxs-512", "lcm-dreamshaper-7", "sdxl", "sdxl-turbo", "ssd-1b"),
    *("taesd", "taesdxl"),
}
SIZED = [(card, part) for card in CARDS.values() for part in card.shapes]


def test_the_models_that_were_asked_for_are_there() -> None:
    assert set(CARDS) >= WANTED


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_a_card_is_usable(card: ModelCard) -> None:
    assert card.width % 8 == card.height % 8 == 0
    assert card.architecture
    assert card.sampler is None or find_sampler(card.sampler)
    assert not card.preview or len(card.preview) == 5
    assert not card.path
    assert bool(card.folder) != bool(card.sources), "built in, or to be fetched"
    assert not card.vae or (CARDS[card.vae].kind, CARDS[card.vae].runnable) == ("autoencoder", "")
    # An autoencoder of the other family shows blots.
    assert not card.vae or card.vae.endswith("xl") == (card.architecture == "sdxl")
    if card.kind == "text-to-image" and not card.runnable and card.sources:
        assert {"text_encoder", "unet", "vae"} <= set(card.shapes), "the plan needs sizes before a download"


@pytest.mark.parametrize(("card", "part"), SIZED, ids=[f"{card.name} {part}" for card, part in SIZED])
def test_parameters_are_those_of_the_shapes(card: ModelCard, part: str) -> None:
    config = dict(card.shapes[part])
    if part == "text_encoder":
        shapes = text_shapes(ClipTextConfig.read(config))
    elif part == "vae":
        shapes = vae_shapes(config)
    elif part == "unet" and card.architecture != "sdxl":
        shapes = unet_shapes(UNetConfig.read(config))
    else:
        pytest.skip("not one of the networks here")
    assert card.parameters[part] == sum(map(math.prod, shapes.values()))


@pytest.mark.reference
@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_parameters_of_denoisers_are_those_of_diffusers(card: ModelCard) -> None:
    if "unet" not in card.shapes:
        pytest.skip("no shapes")
    torch = pytest.importorskip("torch")
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        network = UNet2DConditionModel(**card.shapes["unet"])
    assert sum(tensor.numel() for tensor in network.parameters()) == card.parameters["unet"]
