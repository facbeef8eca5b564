"""The UNet against diffusers' UNet2DConditionModel, in the family's configurations at small widths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nutshell.engines.cost import CostOps
from nutshell.errors import UnsupportedModel, WeightsMismatch
from nutshell.networks import unet
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import Weights

CROSS = "CrossAttnDownBlock2D"
CROSS_UP = "CrossAttnUpBlock2D"
SMALL = {"cross_attention_dim": 24, "sample_size": 8, "norm_num_groups": 8}

CONFIGS: dict[str, dict[str, Any]] = {
    "sd1": {"block_out_channels": (32, 64, 96, 96), "attention_head_dim": 8},
    "sd2": {
        "block_out_channels": (32, 64, 96, 96),
        "attention_head_dim": (2, 4, 8, 8),
        "use_linear_projection": True,
        "upcast_attention": True,
    },
    "inpainting": {"block_out_channels": (32, 64, 96, 96), "in_channels": 9},
    "bk-sdm-base": {"block_out_channels": (32, 64, 96, 96), "layers_per_block": 1},
    "bk-sdm-small": {"block_out_channels": (32, 64, 96, 96), "layers_per_block": 1, "mid_block_type": None},
    "bk-sdm-tiny": {
        "block_out_channels": (32, 64, 96),
        "layers_per_block": 1,
        "mid_block_type": None,
        "down_block_types": (CROSS,) * 3,
        "up_block_types": (CROSS_UP,) * 3,
    },
    "unequal-layers": {
        "block_out_channels": (32, 64, 96),
        "layers_per_block": (1, 3, 2),
        "down_block_types": (CROSS, "DownBlock2D", CROSS),
        "up_block_types": (CROSS_UP, "UpBlock2D", CROSS_UP),
        "attention_head_dim": (2, 4, 8),
    },
    "plain-mid": {"block_out_channels": (32, 64, 96, 96), "mid_block_type": "UNetMidBlock2D"},
    "deep-transformers": {
        "block_out_channels": (32, 64),
        "down_block_types": ("DownBlock2D", CROSS),
        "up_block_types": (CROSS_UP, "UpBlock2D"),
        "transformer_layers_per_block": (1, 3),
        "use_linear_projection": True,
    },
    "guidance-distilled": {"block_out_channels": (32, 64, 96, 96), "time_cond_proj_dim": 16},
    "other-sinusoids": {"block_out_channels": (32, 64, 96, 96), "flip_sin_to_cos": False, "freq_shift": 1},
}


def theirs(name: str) -> Any:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    return diffusers.UNet2DConditionModel(**SMALL, **CONFIGS[name]).eval()


def draw(config: UNetConfig, height: int, width: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    network = unet.denoiser(config, height, width, 7)
    inputs = {key: rng.standard_normal(given.shape).astype(np.float32) for key, given in network.inputs.items()}
    inputs["timestep"] = unet.timestep_features(config, 481)
    if config.guidance_width:
        inputs["guidance"] = unet.guidance_features(config, 7.5)
    return inputs


@pytest.mark.reference
@pytest.mark.parametrize("name", CONFIGS)
def test_equals_diffusers(name: str, engine: Any, weights_of: Any, assert_equal_enough: Any) -> None:
    import torch

    model = theirs(name)
    config, weights = UNetConfig.read(dict(model.config)), weights_of(model)
    # An odd size too: it is rounded up on the way down and has to come back.
    for height, width in ((8, 8), (11, 9)):
        inputs = draw(config, height, width)
        extra = {"timestep_cond": torch.from_numpy(inputs["guidance"])} if config.guidance_width else {}
        with torch.no_grad():
            expected = model(
                torch.from_numpy(inputs["latent"]), 481, torch.from_numpy(inputs["condition"]), **extra
            ).sample.numpy()
        session = engine.compile(unet.denoiser(config, height, width, 7), weights)
        assert_equal_enough(session(**inputs), expected)
        session.close()


@pytest.mark.reference
def test_guidance_features_equal_diffusers() -> None:
    import torch
    from diffusers import LatentConsistencyModelPipeline

    expected = LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor([6.5]), 256).numpy()
    config = UNetConfig.read({"time_cond_proj_dim": 256})
    np.testing.assert_allclose(unet.guidance_features(config, 7.5), expected, atol=1e-3)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["bk-sdm-base", "bk-sdm-small", "bk-sdm-tiny", "inpainting"])
def test_infers_sizes_from_shapes(name: str, weights_of: Any) -> None:
    model = theirs(name)
    read, inferred = UNetConfig.read(dict(model.config)), UNetConfig.infer(weights_of(model))
    for field in ("channels", "layers", "down_attention", "up_attention", "mid", "condition_width", "in_channels"):
        assert getattr(read, field) == getattr(inferred, field), field


@pytest.mark.reference
def test_every_tensor_is_accounted_for(weights_of: Any) -> None:
    model = theirs("bk-sdm-tiny")
    config, whole = UNetConfig.read(dict(model.config)), weights_of(model)
    unet.account(config, whole, CostOps())
    tensors = {tensor.name: tensor for tensor in whole.tensors()}

    broken = dict(tensors)
    del broken["conv_in.bias"]
    broken["stranger.weight"] = tensors["conv_in.weight"]
    broken["conv_out.bias"] = tensors["conv_out.bias"].reshape(1, 4)
    with pytest.raises(WeightsMismatch) as caught:
        unet.account(config, Weights(broken, "unet"), CostOps())
    assert set(caught.value.missing) == {"conv_in.bias"}
    assert caught.value.unused == ("stranger.weight",)
    assert caught.value.misshapen == {"conv_out.bias": ((4,), (1, 4))}


@pytest.mark.parametrize(
    "change",
    [
        {"addition_embed_type": "text_time"},
        {"down_block_types": ("AttnDownBlock2D",)},
        {"class_embed_type": "projection"},
        {"only_cross_attention": [True, False]},
        {"layers_per_block": [1, 2]},
    ],
)
def test_refuses_what_it_does_not_run(change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel, match="UNet"):
        UNetConfig.read(change)
