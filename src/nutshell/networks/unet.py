"""UNet2DCondition: the denoiser of the Stable Diffusion family.

Rombach et al. 2022 (arXiv:2112.10752); scopes follow diffusers' class of that name. One definition
covers SD 1.x and 2.x and their pruned descendants (BK-SDM, Kim et al. 2023, arXiv:2305.15798): any
number of levels, layers per level, and no mid block at all.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.networks import layers
from nutshell.networks.blocks import Widths, resnet_block, transformer
from nutshell.networks.ops import Input, Network, Ops
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import Tensor, Weights

T = TypeVar("T")


def denoiser(config: UNetConfig, height: int, width: int, length: int, batch: int = 1) -> Network:
    """One denoising pass at latent size `height` x `width` over a condition of `length` tokens.

    Inputs: `latent` (batch, in_channels, height, width), `timestep` features from `timestep_features`,
    `condition` (batch, length, condition_width), and `guidance` features where the model was distilled
    with guidance. Output (batch, out_channels, height, width).
    """
    inputs = {
        "latent": Input((batch, config.in_channels, height, width)),
        "timestep": Input((batch, config.channels[0])),
        "condition": Input((batch, length, config.condition_width)),
    }
    if config.guidance_width:
        inputs["guidance"] = Input((batch, config.guidance_width))
    return Network("unet", "unet", inputs, lambda ops, weights, given: unet(ops, weights, config, **given))


def unet(
    ops: Ops[T], weights: Weights, config: UNetConfig, latent: T, timestep: T, condition: T, guidance: T | None = None
) -> T:
    """Down the levels, through the middle, and up again with the skipped features joined on."""
    time = ops.silu(time_embedding(ops, weights.at("time_embedding"), config, timestep, guidance))
    x = layers.conv2d(ops, weights.at("conv_in"), latent, config.channels[0])
    skips = [x]
    for level in range(config.levels):
        x = down_block(ops, weights.at("down_blocks", level), config, level, x, time, condition, skips)
    if config.mid != "none":
        x = mid_block(ops, weights.at("mid_block"), config, x, time, condition)
    for place in range(config.levels):
        x = up_block(ops, weights.at("up_blocks", place), config, place, x, time, condition, skips)
    x = ops.silu(layers.group_norm(ops, weights.at("conv_norm_out"), x, config.groups, config.eps))
    return layers.conv2d(ops, weights.at("conv_out"), x, config.out_channels)


def time_embedding(ops: Ops[T], weights: Weights, config: UNetConfig, features: T, guidance: T | None) -> T:
    """Sinusoidal features -> (batch, time_width). The guidance embedding (LCM) is added to the features."""
    if guidance is not None:
        projected = layers.linear(ops, weights.at("cond_proj"), guidance, config.channels[0], bias=False)
        features = ops.add(features, projected)
    hidden = ops.silu(layers.linear(ops, weights.at("linear_1"), features, config.time_width))
    return layers.linear(ops, weights.at("linear_2"), hidden, config.time_width)


def down_block(
    ops: Ops[T], weights: Weights, config: UNetConfig, level: int, x: T, time: T, condition: T, skips: list[T]
) -> T:
    """Residual (and attention) layers of one level; every result is kept in `skips` for the way up."""
    widths = _widths(config, level)
    for index in range(config.layers[level]):
        x = resnet_block(ops, weights.at("resnets", index), x, widths, time)
        if config.down_attention[level]:
            x = transformer(ops, weights.at("attentions", index), x, condition, widths)
        skips.append(x)
    if level < config.levels - 1:
        x = layers.conv2d(ops, weights.at("downsamplers", 0, "conv"), x, widths.channels, stride=2)
        skips.append(x)
    return x


def mid_block(ops: Ops[T], weights: Weights, config: UNetConfig, x: T, time: T, condition: T) -> T:
    """The coarsest level's middle: a residual block, and with attention a second one after it."""
    widths = replace(_widths(config, config.levels - 1, config.mid_scale), inner=config.middle_width)
    x = resnet_block(ops, weights.at("resnets", 0), x, widths, time)
    if config.mid == "attention":
        x = transformer(ops, weights.at("attentions", 0), x, condition, widths)
        x = resnet_block(ops, weights.at("resnets", 1), x, widths, time)
    return x


def up_block(
    ops: Ops[T], weights: Weights, config: UNetConfig, place: int, x: T, time: T, condition: T, skips: list[T]
) -> T:
    """One level on the way up; one layer more than on the way down, each joined with a skipped result."""
    level = config.levels - 1 - place
    widths = _widths(config, level)
    for index in range(config.layers[level] + 1):
        x = ops.concat([x, skips.pop()], axis=1)
        x = resnet_block(ops, weights.at("resnets", index), x, widths, time)
        if config.up_attention[place]:
            x = transformer(ops, weights.at("attentions", index), x, condition, widths)
    if skips:
        # The next skip's own size, not twice ours: odd latents were rounded up on the way down.
        height, width = ops.shape(skips[-1])[2:]
        x = ops.upsample(x, height, width)
        x = layers.conv2d(ops, weights.at("upsamplers", 0, "conv"), x, widths.channels)
    return x


def account(config: UNetConfig, weights: Weights, ops: Ops[Any]) -> None:
    """Check every stored tensor against the network; `ops` need not compute anything."""
    size = 2 ** (config.levels - 1)
    network = denoiser(config, size, size, 1)
    values = {name: ops.parameter(Tensor(name, "F32", given.shape)) for name, given in network.inputs.items()}
    weights.account(lambda view: network.run(ops, view, values))


def timestep_features(config: UNetConfig, timestep: float) -> npt.NDArray[np.float32]:
    """Sinusoids of the timestep, (1, channels[0]) (Vaswani et al. 2017, section 3.5).

    Made outside the graph in float32: a timestep such as 981 has no exact bfloat16.
    """
    half = config.channels[0] // 2
    rates = np.exp(-math.log(10000.0) * np.arange(half, dtype=np.float32) / np.float32(half - config.freq_shift))
    angles = np.float32(timestep) * rates.astype(np.float32)
    waves = (np.cos(angles), np.sin(angles)) if config.flip_sin_to_cos else (np.sin(angles), np.cos(angles))
    features = np.concatenate(waves)
    return np.pad(features, (0, config.channels[0] - features.size))[None].astype(np.float32)


def guidance_features(config: UNetConfig, scale: float) -> npt.NDArray[np.float32]:
    """Sinusoids of a guidance scale, (1, guidance_width), for guidance-distilled models.

    Meng et al. 2023 (arXiv:2210.03142) as latent consistency models use it: 1000 * (scale - 1), sines first.
    """
    half = config.guidance_width // 2
    rates = np.exp(-math.log(10000.0) * np.arange(half) / (half - 1))
    angles = 1000.0 * (scale - 1.0) * rates
    features = np.concatenate([np.sin(angles), np.cos(angles)])
    return np.pad(features, (0, config.guidance_width - features.size))[None].astype(np.float32)


def _widths(config: UNetConfig, level: int, scale: float = 1.0) -> Widths:
    return Widths(
        channels=config.channels[level],
        groups=config.groups,
        eps=config.eps,
        heads=config.kept_heads[level] if config.kept_heads else config.heads[level],
        head_size=config.channels[level] // config.heads[level] if config.kept_heads else 0,
        transformer_layers=config.transformer_layers[level],
        linear_projection=config.linear_projection,
        output_scale=scale,
    )
