"""The parts that the network of an AutoencoderKL is put together from, in one piece or in strips."""

from __future__ import annotations

from typing import TypeVar

from nutshell.networks import layers
from nutshell.networks.autoencoder_kl_config import AutoencoderKLConfig
from nutshell.networks.blocks import Widths, attention, resnet_block
from nutshell.networks.ops import Ops
from nutshell.weights import Weights

T = TypeVar("T")

EPS = 1e-6


def begin_decoding(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, latent: T) -> T:
    """latent (batch, latent_channels, height, width) -> (batch, last of channels, height, width)."""
    if config.post_quant_conv:
        latent = layers.conv2d(ops, weights.at("post_quant_conv"), latent, config.latent_channels, kernel=1)
    inner = weights.at("decoder")
    x = layers.conv2d(ops, inner.at("conv_in"), latent, config.channels[-1])
    return _mid_block(ops, inner.at("mid_block"), config, x)


def finish_encoding(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, x: T) -> T:
    """What the last level gives -> mean and log-variance of the latent, channels joined."""
    inner = weights.at("encoder")
    x = _mid_block(ops, inner.at("mid_block"), config, x)
    moments = out(ops, inner, config, x, 2 * config.latent_channels)
    if config.quant_conv:
        moments = layers.conv2d(ops, weights.at("quant_conv"), moments, 2 * config.latent_channels, kernel=1)
    return moments


def level(ops: Ops[T], block: Weights, config: AutoencoderKLConfig, x: T, channels: int, count: int) -> T:
    """`count` residual blocks to `channels`."""
    for index in range(count):
        x = resnet_block(ops, block.at("resnets", index), x, Widths(channels, config.groups, EPS))
    return x


def widened(ops: Ops[T], block: Weights, x: T) -> T:
    """Twice as high and wide."""
    _, channels, height, width = ops.shape(x)
    x = ops.upsample(x, 2 * height, 2 * width)
    return layers.conv2d(ops, block.at("upsamplers", 0, "conv"), x, channels)


def halved(ops: Ops[T], block: Weights, x: T, below: int = 1) -> T:
    """Half as high and wide. below: rows of zeros there, none where x has the next row."""
    # The original pads only below and to the right before it halves.
    channels, padding = ops.shape(x)[1], (0, 0, below, 1)
    return layers.conv2d(ops, block.at("downsamplers", 0, "conv"), x, channels, stride=2, padding=padding)


def out(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, x: T, channels: int) -> T:
    """The last normalization and convolution."""
    x = ops.silu(layers.group_norm(ops, weights.at("conv_norm_out"), x, config.groups, EPS))
    return layers.conv2d(ops, weights.at("conv_out"), x, channels)


def _mid_block(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, x: T) -> T:
    widths = Widths(config.channels[-1], config.groups, EPS)
    x = resnet_block(ops, weights.at("resnets", 0), x, widths)
    if config.mid_attention:
        x = _attention(ops, weights.at("attentions", 0), config, x)
    return resnet_block(ops, weights.at("resnets", 1), x, widths)


def _attention(ops: Ops[T], weights: Weights, config: AutoencoderKLConfig, x: T) -> T:
    _, _, height, width = ops.shape(x)
    h = layers.to_sequence(ops, layers.group_norm(ops, weights.at("group_norm"), x, config.groups, EPS))
    h = attention(ops, weights, h, h, heads=1, bias=True)
    return ops.add(x, layers.to_picture(ops, h, height, width))
