"""AutoencoderKL: pictures to latents and back, as in Stable Diffusion 1.x and 2.x.

Esser et al. 2021 (arXiv:2012.09841), Rombach et al. 2022 (arXiv:2112.10752); scopes follow diffusers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from nutshell.errors import UnsupportedModel
from nutshell.language import tr
from nutshell.networks import layers
from nutshell.networks.blocks import Widths, attention, resnet_block
from nutshell.networks.ops import Input, Network, Ops
from nutshell.weights import Tensor, Weights

T = TypeVar("T")

_EPS = 1e-6


@dataclass(frozen=True)
class AutoencoderKLConfig:
    """Sizes, finest level first. `scaling_factor` and `shift_factor` standardize the latents:
    the denoiser sees (latent - shift) * scaling."""

    channels: tuple[int, ...]
    layers: int = 2
    latent_channels: int = 4
    groups: int = 32
    mid_attention: bool = True
    quant_conv: bool = True
    post_quant_conv: bool = True
    scaling_factor: float = 0.18215
    shift_factor: float = 0.0

    @property
    def scale(self) -> int:
        """Pixels per latent cell along each side."""
        return int(2 ** (len(self.channels) - 1))

    @staticmethod
    def read(config: Mapping[str, Any]) -> AutoencoderKLConfig:
        """From diffusers' config.json."""
        for key, kind in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
            for name in config.get(key, ()):
                if name != kind:
                    raise UnsupportedModel(
                        tr("this autoencoder is built of {name!r}, which this version does not run", name=name)
                    )
        return AutoencoderKLConfig(
            channels=tuple(config.get("block_out_channels", (64,))),
            layers=config.get("layers_per_block", 1),
            latent_channels=config.get("latent_channels", 4),
            groups=config.get("norm_num_groups", 32),
            mid_attention=config.get("mid_block_add_attention", True),
            quant_conv=config.get("use_quant_conv", True),
            post_quant_conv=config.get("use_post_quant_conv", True),
            scaling_factor=config.get("scaling_factor") or 0.18215,
            shift_factor=config.get("shift_factor") or 0.0,
        )

    @staticmethod
    def infer(weights: Weights) -> AutoencoderKLConfig:
        """From shapes alone; the scaling factor is that of the SD 1.x and 2.x autoencoders."""
        encoder = weights.at("encoder", "down_blocks")
        levels = weights.count("encoder.down_blocks")
        widths = [encoder.shape(f"{level}.resnets.0.conv1.weight") for level in range(levels)]
        latent = weights.shape("decoder.conv_in.weight")
        return AutoencoderKLConfig(
            channels=tuple(shape[0] if shape else 0 for shape in widths),
            layers=weights.count("encoder.down_blocks.0.resnets"),
            latent_channels=latent[1] if latent else 4,
            mid_attention=weights.has("decoder.mid_block.attentions"),
            quant_conv=weights.has("quant_conv"),
            post_quant_conv=weights.has("post_quant_conv"),
        )


def decoder(config: AutoencoderKLConfig, height: int, width: int, batch: int = 1) -> Network:
    """`latent` (batch, latent_channels, height, width), unscaled -> picture in [-1, 1], `scale` times as large."""
    return Network(
        "vae_decoder",
        "vae_decoder",
        {"latent": Input((batch, config.latent_channels, height, width))},
        lambda ops, weights, given: decode(ops, weights, config, given["latent"]),
    )


def encoder(config: AutoencoderKLConfig, height: int, width: int, batch: int = 1) -> Network:
    """`picture` (batch, 3, height, width) in [-1, 1] -> mean and log-variance of the latent, channels joined."""
    return Network(
        "vae_encoder",
        "vae_encoder",
        {"picture": Input((batch, 3, height, width))},
        lambda ops, weights, given: encode(ops, weights, config, given["picture"]),
    )


def decode(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, latent: T) -> T:
    if config.post_quant_conv:
        latent = layers.conv2d(ops, weights.at("post_quant_conv"), latent, config.latent_channels, kernel=1)
    weights = weights.at("decoder")
    x = layers.conv2d(ops, weights.at("conv_in"), latent, config.channels[-1])
    x = _mid_block(ops, weights.at("mid_block"), config, x)
    for place, channels in enumerate(reversed(config.channels)):
        block = weights.at("up_blocks", place)
        for index in range(config.layers + 1):
            x = resnet_block(ops, block.at("resnets", index), x, Widths(channels, config.groups, _EPS))
        if place < len(config.channels) - 1:
            _, _, height, width = ops.shape(x)
            x = ops.upsample(x, 2 * height, 2 * width)
            x = layers.conv2d(ops, block.at("upsamplers", 0, "conv"), x, channels)
    return _out(ops, weights, config, x, 3)


def encode(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, picture: T) -> T:
    inner = weights.at("encoder")
    x = layers.conv2d(ops, inner.at("conv_in"), picture, config.channels[0])
    for level, channels in enumerate(config.channels):
        block = inner.at("down_blocks", level)
        for index in range(config.layers):
            x = resnet_block(ops, block.at("resnets", index), x, Widths(channels, config.groups, _EPS))
        if level < len(config.channels) - 1:
            # The original pads only below and to the right before it halves.
            x = layers.conv2d(ops, block.at("downsamplers", 0, "conv"), x, channels, stride=2, padding=(0, 0, 1, 1))
    x = _mid_block(ops, inner.at("mid_block"), config, x)
    moments = _out(ops, inner, config, x, 2 * config.latent_channels)
    if config.quant_conv:
        moments = layers.conv2d(ops, weights.at("quant_conv"), moments, 2 * config.latent_channels, kernel=1)
    return moments


def account(config: AutoencoderKLConfig, weights: Weights, ops: Ops[Any]) -> None:
    """Check every stored tensor, encoder and decoder together."""

    def run(view: Weights) -> None:
        encode(ops, view, config, ops.parameter(Tensor("picture", "F32", (1, 3, config.scale, config.scale))))
        decode(ops, view, config, ops.parameter(Tensor("latent", "F32", (1, config.latent_channels, 1, 1))))

    weights.account(run)


def _mid_block(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, x: T) -> T:
    widths = Widths(config.channels[-1], config.groups, _EPS)
    x = resnet_block(ops, weights.at("resnets", 0), x, widths)
    if config.mid_attention:
        x = _attention(ops, weights.at("attentions", 0), config, x)
    return resnet_block(ops, weights.at("resnets", 1), x, widths)


def _attention(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, x: T) -> T:
    _, _, height, width = ops.shape(x)
    h = layers.to_sequence(ops, layers.group_norm(ops, weights.at("group_norm"), x, config.groups, _EPS))
    h = attention(ops, weights, h, h, heads=1, bias=True)
    return ops.add(x, layers.to_picture(ops, h, height, width))


def _out(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, x: T, channels: int) -> T:
    x = ops.silu(layers.group_norm(ops, weights.at("conv_norm_out"), x, config.groups, _EPS))
    return layers.conv2d(ops, weights.at("conv_out"), x, channels)
