"""Shapes without weights against the reference classes on PyTorch's meta device: every name, every shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from nutshell.catalogue import cards
from nutshell.engines.cost import CostOps
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.unet_config import UNetConfig
from nutshell.networks.wanted import wanted_autoencoder, wanted_text_encoder, wanted_unet
from nutshell.store import builtin_folder
from nutshell.weights import Weights

pytestmark = pytest.mark.reference

Json = dict[str, Any]
MODELS = ["tiny-sd", "stable-diffusion-1.5", "stable-diffusion-2.1", "artist"]


def shapes_of(model: str, part: str) -> Json:
    """A configuration: of the built-in model from its own file, of the others from the card."""
    if model == "artist":
        found: Json = json.loads((builtin_folder() / model / part / "config.json").read_text("utf-8"))
        return found
    # TOML has no null; see `nutshell.pipeline.needs`.
    return {key: value if value != "" else None for key, value in cards()[model].shapes[part].items()}


def stated(weights: Weights) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tensor.shape for tensor in weights.tensors()}


def of(module: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def plain(config: Mapping[str, Any]) -> Json:
    return {key: value for key, value in config.items() if not key.startswith("_")}


@pytest.mark.parametrize("model", MODELS)
def test_unet(model: str) -> None:
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    config = shapes_of(model, "unet")
    with torch.device("meta"):
        theirs = diffusers.UNet2DConditionModel(**plain(config))
    assert stated(wanted_unet(UNetConfig.read(config), CostOps())) == of(theirs)


@pytest.mark.parametrize("model", MODELS)
def test_text_encoder(model: str) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = shapes_of(model, "text_encoder")
    with torch.device("meta"):
        theirs = transformers.CLIPTextModel(transformers.CLIPTextConfig(**plain(config)))
    found = {name.removeprefix("text_model."): shape for name, shape in of(theirs).items()}
    found.pop("embeddings.position_ids", None)
    assert stated(wanted_text_encoder(ClipTextConfig.read(config), CostOps())) == found


@pytest.mark.parametrize("model", [*MODELS, "taesd"])
def test_autoencoder(model: str) -> None:
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    config = shapes_of(model, "vae")
    tiny = config["_class_name"] == "AutoencoderTiny"
    read: Any = AutoencoderTinyConfig.read if tiny else AutoencoderKLConfig.read
    if tiny:
        # A setting of the layout's, which the class itself does not take back.
        config = {key: value for key, value in config.items() if key != "block_out_channels"}
    else:
        levels = len(config["block_out_channels"])
        config = {
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
            **config,
        }
    with torch.device("meta"):
        theirs = getattr(diffusers, config["_class_name"])(**plain(config))
    assert stated(wanted_autoencoder(read(config), CostOps())) == of(theirs)


def test_the_type_is_the_stored_one() -> None:
    config = ClipTextConfig.read(shapes_of("tiny-sd", "text_encoder"))
    half, whole = (sum(t.nbytes for t in wanted_text_encoder(config, CostOps(), d).tensors()) for d in ("F16", "F32"))
    assert whole == 2 * half == 4 * 123_060_480
