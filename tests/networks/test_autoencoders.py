"""Both autoencoders, both ways, against diffusers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nutshell.engines.cost import CostOps
from nutshell.errors import UnsupportedModel
from nutshell.networks import autoencoder_kl, autoencoder_tiny
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig

KL: dict[str, dict[str, Any]] = {
    "sd": {"layers_per_block": 2},
    "one-layer": {"layers_per_block": 1},
    "no-attention": {"mid_block_add_attention": False},
    "no-quant": {"use_quant_conv": False, "use_post_quant_conv": False, "latent_channels": 16},
}
TINY: dict[str, dict[str, Any]] = {
    "taesd": {},
    "pruned": {"num_decoder_blocks": (1, 2, 1, 1), "decoder_block_out_channels": (32,) * 4},
}


def kl(name: str) -> Any:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    sizes = {"block_out_channels": (16, 32, 48), "norm_num_groups": 8}
    return diffusers.AutoencoderKL(**blocks, **sizes, **KL[name]).eval()


def tiny(name: str) -> Any:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"encoder_block_out_channels": (16,) * 4, "decoder_block_out_channels": (16,) * 4}
    return diffusers.AutoencoderTiny(**{**sizes, **TINY[name]}).eval()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


@pytest.mark.reference
@pytest.mark.parametrize("name", KL)
def test_kl_equals_diffusers(name: str, engine: Any, weights_of: Any, assert_equal_enough: Any) -> None:
    import torch

    model = kl(name)
    config, weights = AutoencoderKLConfig.read(dict(model.config)), weights_of(model)
    autoencoder_kl.account(config, weights, CostOps())
    latent, picture = noise(1, config.latent_channels, 5, 6), noise(1, 3, 20, 24)
    with torch.no_grad():
        decoded = model.decode(torch.from_numpy(latent)).sample.numpy()
        moments = model.encode(torch.from_numpy(picture)).latent_dist.parameters.numpy()
    assert_equal_enough(engine.compile(autoencoder_kl.decoder(config, 5, 6), weights)(latent=latent), decoded)
    assert_equal_enough(engine.compile(autoencoder_kl.encoder(config, 20, 24), weights)(picture=picture), moments)


@pytest.mark.reference
@pytest.mark.parametrize("name", TINY)
def test_tiny_equals_diffusers(name: str, engine: Any, weights_of: Any, assert_equal_enough: Any) -> None:
    import torch

    model = tiny(name)
    config, weights = AutoencoderTinyConfig.read(dict(model.config)), weights_of(model)
    autoencoder_tiny.account(config, weights, CostOps())
    latent, picture = noise(1, 4, 5, 6), noise(1, 3, 40, 48)
    with torch.no_grad():
        decoded = model.decode(torch.from_numpy(latent)).sample.numpy()
        encoded = model.encode(torch.from_numpy(picture)).latents.numpy()
    assert_equal_enough(engine.compile(autoencoder_tiny.decoder(config, 5, 6), weights)(latent=latent), decoded)
    assert_equal_enough(engine.compile(autoencoder_tiny.encoder(config, 40, 48), weights)(picture=picture), encoded)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["sd", "no-attention", "no-quant"])
def test_kl_infers_sizes(name: str, weights_of: Any) -> None:
    model = kl(name)
    read, inferred = AutoencoderKLConfig.read(dict(model.config)), AutoencoderKLConfig.infer(weights_of(model))
    for field in ("channels", "layers", "latent_channels", "mid_attention", "quant_conv", "post_quant_conv"):
        assert getattr(read, field) == getattr(inferred, field), field


@pytest.mark.reference
def test_tiny_infers_sizes(weights_of: Any) -> None:
    model = tiny("taesd")
    assert AutoencoderTinyConfig.infer(weights_of(model)) == AutoencoderTinyConfig.read(dict(model.config))


def test_refuses_what_it_does_not_run() -> None:
    with pytest.raises(UnsupportedModel, match="AttnDownEncoderBlock2D"):
        AutoencoderKLConfig.read({"down_block_types": ["AttnDownEncoderBlock2D"]})
    with pytest.raises(UnsupportedModel, match="act_fn"):
        AutoencoderTinyConfig.read({"act_fn": "silu"})
