"""Shapes without weights: the tensors that a network of given sizes asks of a checkpoint.

Each network states the shape of every tensor it takes, so an empty checkpoint is answered with all of them. Pricing a
model before it is downloaded needs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nutshell.errors import WeightsMismatch
from nutshell.networks import autoencoder_kl, autoencoder_tiny, clip_text, unet
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.ops import Ops
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import Tensor, Weights


def wanted_text_encoder(config: ClipTextConfig, ops: Ops[Any], dtype: str = "F16") -> Weights:
    """Every tensor of a CLIP text encoder, as transformers names them below `text_model`.

    dtype: safetensors name of the type that they would be stored in. ops: need not compute anything.
    """
    return _wanted("text_encoder", lambda empty: clip_text.account(config, empty, ops), dtype)


def wanted_unet(config: UNetConfig, ops: Ops[Any], dtype: str = "F16") -> Weights:
    """Every tensor of a UNet2DCondition, as diffusers names them."""
    return _wanted("unet", lambda empty: unet.account(config, empty, ops), dtype)


def wanted_autoencoder(
    config: AutoencoderKLConfig | AutoencoderTinyConfig, ops: Ops[Any], dtype: str = "F16"
) -> Weights:
    """Every tensor of an autoencoder, full or tiny, as diffusers names them."""
    if isinstance(config, AutoencoderTinyConfig):
        return _wanted("vae", lambda empty: autoencoder_tiny.account(config, empty, ops), dtype)
    return _wanted("vae", lambda empty: autoencoder_kl.account(config, empty, ops), dtype)


def _wanted(part: str, account: Callable[[Weights], None], dtype: str) -> Weights:
    try:
        account(Weights({}, part))
    except WeightsMismatch as asked:
        return Weights({name: Tensor(name, dtype, shape) for name, shape in asked.missing.items()}, part)
    raise AssertionError(f"{part} asks for no tensor")
