"""AutoencoderKL: pictures to latents and back, as in Stable Diffusion 1.x and 2.x.

Esser et al. 2021 (arXiv:2012.09841), Rombach et al. 2022 (arXiv:2112.10752); scopes follow diffusers.
"""

from __future__ import annotations

from typing import Any, TypeVar

from nutshell.networks import layers
from nutshell.networks.autoencoder_kl_config import AutoencoderKLConfig as AutoencoderKLConfig
from nutshell.networks.autoencoder_kl_parts import begin_decoding, finish_encoding, halved, level, out, widened
from nutshell.networks.autoencoder_kl_strips import decoder_strips, encoder_strips
from nutshell.networks.ops import Input, Network, Ops
from nutshell.weights import Tensor, Weights

T = TypeVar("T")


def decoder(config: AutoencoderKLConfig, height: int, width: int, batch: int = 1) -> Network:
    """`latent` (batch, latent_channels, height, width), unscaled -> picture in [-1, 1], `scale` times as large."""
    return Network(
        "vae_decoder",
        "vae_decoder",
        {"latent": Input((batch, config.latent_channels, height, width))},
        lambda ops, weights, given: decode(ops, weights, config, given["latent"]),
        strips=decoder_strips(config, height, width) if batch == 1 else None,
    )


def encoder(config: AutoencoderKLConfig, height: int, width: int, batch: int = 1) -> Network:
    """`picture` (batch, 3, height, width) in [-1, 1] -> mean and log-variance of the latent, channels joined."""
    return Network(
        "vae_encoder",
        "vae_encoder",
        {"picture": Input((batch, 3, height, width))},
        lambda ops, weights, given: encode(ops, weights, config, given["picture"]),
        strips=encoder_strips(config, height, width) if batch == 1 else None,
    )


def decode(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, latent: T) -> T:
    x = begin_decoding(ops, weights, config, latent)
    inner = weights.at("decoder")
    for place, channels in enumerate(reversed(config.channels)):
        if place:
            x = widened(ops, inner.at("up_blocks", place - 1), x)
        x = level(ops, inner.at("up_blocks", place), config, x, channels, config.layers + 1)
    return out(ops, inner, config, x, 3)


def encode(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, picture: T) -> T:
    inner = weights.at("encoder")
    x = layers.conv2d(ops, inner.at("conv_in"), picture, config.channels[0])
    for place, channels in enumerate(config.channels):
        x = level(ops, inner.at("down_blocks", place), config, x, channels, config.layers)
        if place < len(config.channels) - 1:
            x = halved(ops, inner.at("down_blocks", place), x)
    return finish_encoding(ops, weights, config, x)


def account(config: AutoencoderKLConfig, weights: Weights, ops: Ops[Any]) -> None:
    """Check every stored tensor, encoder and decoder together."""

    def run(view: Weights) -> None:
        encode(ops, view, config, ops.parameter(Tensor("picture", "F32", (1, 3, config.scale, config.scale))))
        decode(ops, view, config, ops.parameter(Tensor("latent", "F32", (1, config.latent_channels, 1, 1))))

    weights.account(run)
