"""AutoencoderTiny (TAESD): a distilled autoencoder, some 70 times cheaper than the full one.

Ollin Boer Bohan, "Tiny AutoEncoder for Stable Diffusion", 2023; scopes follow diffusers'
AutoencoderTiny, whose layers are numbered through, activations and upsampling included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from nutshell.errors import UnsupportedModel
from nutshell.language import tr
from nutshell.networks import layers
from nutshell.networks.ops import Input, Network, Ops
from nutshell.weights import Tensor, Weights

T = TypeVar("T")


@dataclass(frozen=True)
class AutoencoderTinyConfig:
    """`blocks` per stage, each stage of width `channels`; between stages the size halves or doubles."""

    encoder_channels: tuple[int, ...] = (64, 64, 64, 64)
    decoder_channels: tuple[int, ...] = (64, 64, 64, 64)
    encoder_blocks: tuple[int, ...] = (1, 3, 3, 3)
    decoder_blocks: tuple[int, ...] = (3, 3, 3, 1)
    latent_channels: int = 4
    scaling_factor: float = 1.0
    shift_factor: float = 0.0

    @property
    def scale(self) -> int:
        """Pixels per latent cell along each side."""
        return int(2 ** (len(self.decoder_channels) - 1))

    @staticmethod
    def read(config: Mapping[str, Any]) -> AutoencoderTinyConfig:
        """From diffusers' config.json."""
        for key, only in (("act_fn", "relu"), ("upsampling_scaling_factor", 2), ("upsample_fn", "nearest")):
            if config.get(key, only) != only:
                raise UnsupportedModel(
                    tr(
                        "this tiny autoencoder has {key}={config!r}; only {only!r} is supported",
                        key=key,
                        config=config[key],
                        only=only,
                    )
                )
        return AutoencoderTinyConfig(
            encoder_channels=tuple(config.get("encoder_block_out_channels", (64, 64, 64, 64))),
            decoder_channels=tuple(config.get("decoder_block_out_channels", (64, 64, 64, 64))),
            encoder_blocks=tuple(config.get("num_encoder_blocks", (1, 3, 3, 3))),
            decoder_blocks=tuple(config.get("num_decoder_blocks", (3, 3, 3, 1))),
            latent_channels=config.get("latent_channels", 4),
            scaling_factor=config.get("scaling_factor") or 1.0,
            shift_factor=config.get("shift_factor") or 0.0,
        )

    @staticmethod
    def infer(weights: Weights) -> AutoencoderTinyConfig:
        """From shapes alone: the usual four stages, with the stored widths."""
        first, last = weights.shape("decoder.layers.0.weight"), weights.shape("encoder.layers.0.weight")
        return AutoencoderTinyConfig(
            encoder_channels=(last[0] if last else 64,) * 4,
            decoder_channels=(first[0] if first else 64,) * 4,
            latent_channels=first[1] if first else 4,
        )


def decoder(config: AutoencoderTinyConfig, height: int, width: int, batch: int = 1) -> Network:
    """`latent` (batch, latent_channels, height, width) -> picture in [-1, 1], `scale` times as large."""
    return Network(
        "vae_decoder",
        "vae_decoder",
        {"latent": Input((batch, config.latent_channels, height, width))},
        lambda ops, weights, given: decode(ops, weights.at("decoder", "layers"), config, given["latent"]),
    )


def encoder(config: AutoencoderTinyConfig, height: int, width: int, batch: int = 1) -> Network:
    """`picture` (batch, 3, height, width) in [-1, 1] -> latent (batch, latent_channels, ...)."""
    return Network(
        "vae_encoder",
        "vae_encoder",
        {"picture": Input((batch, 3, height, width))},
        lambda ops, weights, given: encode(ops, weights.at("encoder", "layers"), config, given["picture"]),
    )


def decode(ops: Ops[T], weights: Weights, config: AutoencoderTinyConfig, latent: T) -> T:
    """Clamp softly to [-3, 3], then stages of blocks with doubling between them."""
    x = ops.affine(ops.tanh(ops.affine(latent, 1 / 3)), 3.0)
    x = ops.relu(layers.conv2d(ops, weights.at(0), x, config.decoder_channels[0]))
    place = 2  # The activation has number 1.
    stages = len(config.decoder_channels)
    for stage, (channels, count) in enumerate(zip(config.decoder_channels, config.decoder_blocks, strict=True)):
        for _ in range(count):
            x = _block(ops, weights.at(place), x, channels)
            place += 1
        last = stage == stages - 1
        if not last:
            _, _, height, width = ops.shape(x)
            x = ops.upsample(x, 2 * height, 2 * width)
            place += 1
        x = layers.conv2d(ops, weights.at(place), x, 3 if last else channels, bias=last)
        place += 1
    return ops.affine(x, 2.0, -1.0)


def encode(ops: Ops[T], weights: Weights, config: AutoencoderTinyConfig, picture: T) -> T:
    """Stages of blocks with halving between them."""
    x = ops.affine(picture, 0.5, 0.5)
    place = 0
    for stage, (channels, count) in enumerate(zip(config.encoder_channels, config.encoder_blocks, strict=True)):
        first = stage == 0
        x = layers.conv2d(ops, weights.at(place), x, channels, stride=1 if first else 2, bias=first)
        place += 1
        for _ in range(count):
            x = _block(ops, weights.at(place), x, channels)
            place += 1
    return layers.conv2d(ops, weights.at(place), x, config.latent_channels)


def account(config: AutoencoderTinyConfig, weights: Weights, ops: Ops[Any]) -> None:
    """Check every stored tensor, encoder and decoder together."""

    def run(view: Weights) -> None:
        picture = ops.parameter(Tensor("picture", "F32", (1, 3, config.scale, config.scale)))
        encode(ops, view.at("encoder", "layers"), config, picture)
        latent = ops.parameter(Tensor("latent", "F32", (1, config.latent_channels, 1, 1)))
        decode(ops, view.at("decoder", "layers"), config, latent)

    weights.account(run)


def _block(ops: Ops[T], weights: Weights, x: T, channels: int) -> T:
    """Three convolutions added to the (projected) input, then activated."""
    h = ops.relu(layers.conv2d(ops, weights.at("conv", 0), x, channels))
    h = ops.relu(layers.conv2d(ops, weights.at("conv", 2), h, channels))
    h = layers.conv2d(ops, weights.at("conv", 4), h, channels)
    if ops.shape(x)[1] != channels:
        x = layers.conv2d(ops, weights.at("skip"), x, channels, kernel=1, bias=False)
    return ops.relu(ops.add(h, x))
