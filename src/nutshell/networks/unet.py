"""UNet2DCondition: the denoiser of the Stable Diffusion family.

Rombach et al. 2022 (arXiv:2112.10752); scopes follow diffusers' class of that name. One definition
covers SD 1.x and 2.x and their pruned descendants (BK-SDM, Kim et al. 2023, arXiv:2305.15798): any
number of levels, layers per level, and no mid block at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.networks import layers
from nutshell.networks.blocks import Widths, resnet_block, transformer
from nutshell.networks.ops import Input, Network, Ops
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import Tensor, Weights

T = TypeVar("T")


@dataclass(frozen=True)
class Thrift:
    """What a denoiser leaves out. merge, fewer_keys: in self-attention of the finest level that has any, where most
    tokens are (see `fewer_tokens`). outer: how many of the outermost layers make a network of their own, 0 for none.
    int8_attention: asks for the products of queries and keys in eight bits; who has the scales makes them so.
    """

    merge: float = 0.0
    fewer_keys: bool = False
    outer: int = 0
    int8_attention: bool = False

    @property
    def words(self) -> str:
        """What the name of a network says of it."""
        merge = f" merge {self.merge:g}" if self.merge else ""
        bits = " int8 attention" if self.int8_attention else ""
        outer = f" outer {self.outer}" if self.outer else ""
        return merge + (" fewer keys" if self.fewer_keys else "") + bits + outer


WHOLE = Thrift()


def denoiser(
    config: UNetConfig, height: int, width: int, length: int, batch: int = 1, thrift: Thrift = WHOLE
) -> Network:
    """One denoising pass at latent size `height` x `width` over a condition of `length` tokens.

    Inputs: `latent` (batch, in_channels, height, width), `timestep` features from `timestep_features`,
    `condition` (batch, length, condition_width), and `guidance` features where the model was distilled
    with guidance. Output (batch, out_channels, height, width); with `thrift.outer` a second one, `deep`: the feature
    that `outer_denoiser` takes.
    """
    inputs = _inputs(config, height, width, length, batch)
    outputs = ("output", "deep") if thrift.outer else ("output",)

    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any]) -> Any:
        output, deep = unet(ops, weights, config, thrift=thrift, **given)
        return (output, deep) if thrift.outer else output

    return Network("unet", f"unet{thrift.words}", inputs, run, outputs, int8_attention=thrift.int8_attention)


def outer_denoiser(
    config: UNetConfig, height: int, width: int, length: int, batch: int = 1, thrift: Thrift = WHOLE
) -> Network:
    """The outermost layers of `denoiser` alone, over its feature `deep` of an earlier step.

    Feature reuse between steps (DeepCache, Ma et al. 2023, arXiv:2312.00858): what the inner layers make changes
    little from one step to the next. `thrift.outer`: layers on the way up, from 1 to all of the finest level.
    """
    inputs = _inputs(config, height, width, length, batch)
    # Before the first layer of its level a feature still has the width of the level below.
    whole_level = thrift.outer == config.layers[0] + 1 and config.levels > 1
    inputs["deep"] = Input((batch, config.channels[1 if whole_level else 0], height, width))

    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any]) -> Any:
        return outer_unet(ops, weights, config, thrift=thrift, **given)

    return Network("unet_outer", f"unet_outer{thrift.words}", inputs, run, int8_attention=thrift.int8_attention)


def _inputs(config: UNetConfig, height: int, width: int, length: int, batch: int) -> dict[str, Input]:
    inputs = {
        "latent": Input((batch, config.in_channels, height, width)),
        "timestep": Input((batch, config.channels[0])),
        "condition": Input((batch, length, config.condition_width)),
    }
    if config.guidance_width:
        inputs["guidance"] = Input((batch, config.guidance_width))
    return inputs


@dataclass(frozen=True)
class Pass(Generic[T]):
    """What every layer of one pass sees. time (batch, time_width), activated. skips: results for the way up."""

    config: UNetConfig
    thrift: Thrift
    time: T
    condition: T
    skips: list[T]


def unet(
    ops: Ops[T],
    weights: Weights,
    config: UNetConfig,
    latent: T,
    timestep: T,
    condition: T,
    guidance: T | None = None,
    thrift: Thrift = WHOLE,
    on_block: Callable[[str, T], None] = lambda name, feature: None,
) -> tuple[T, T]:
    """Down the levels, through the middle, and up again with the skipped features joined on.

    The second value is what the last `thrift.outer` layers on the way up began with. on_block: told what comes out of
    each block, named "down0" ... (finest level first), "middle" and "up0" ... (also the finest first).
    """
    seen = _begun(ops, weights, config, latent, timestep, condition, guidance, thrift)
    (x,) = seen.skips
    for level in range(config.levels):
        x = down_block(ops, weights.at("down_blocks", level), seen, level, x)
        on_block(f"down{level}", x)
    if config.mid != "none":
        x = mid_block(ops, weights.at("mid_block"), seen, x)
        on_block("middle", x)
    last = config.levels - 1
    for place in range(last):
        x = up_block(ops, weights.at("up_blocks", place), seen, place, x)
        on_block(f"up{last - place}", x)
    inner, outer = _last_layers(config, thrift)
    deep = up_layers(ops, weights.at("up_blocks", last), seen, last, inner, x)
    x = up_layers(ops, weights.at("up_blocks", last), seen, last, outer, deep)
    on_block("up0", x)
    return _ended(ops, weights, config, x), deep


def outer_unet(
    ops: Ops[T],
    weights: Weights,
    config: UNetConfig,
    latent: T,
    timestep: T,
    condition: T,
    deep: T,
    guidance: T | None = None,
    thrift: Thrift = WHOLE,
) -> T:
    """The way in as far as the last `thrift.outer` layers on the way up need it, and those over `deep`."""
    seen = _begun(ops, weights, config, latent, timestep, condition, guidance, thrift)
    (x,) = seen.skips
    down_layers(ops, weights.at("down_blocks", 0), seen, 0, range(thrift.outer - 1), x)
    last = config.levels - 1
    _, outer = _last_layers(config, thrift)
    x = up_layers(ops, weights.at("up_blocks", last), seen, last, outer, deep)
    return _ended(ops, weights, config, x)


def _begun(
    ops: Ops[T],
    weights: Weights,
    config: UNetConfig,
    latent: T,
    timestep: T,
    condition: T,
    guidance: T | None,
    thrift: Thrift,
) -> Pass[T]:
    """A pass with the first features in it, the only skip so far."""
    time = ops.silu(time_embedding(ops, weights.at("time_embedding"), config, timestep, guidance))
    x = layers.conv2d(ops, weights.at("conv_in"), latent, config.channels[0])
    return Pass(config, thrift, time, condition, [x])


def _last_layers(config: UNetConfig, thrift: Thrift) -> tuple[range, range]:
    """The layers of the last block on the way up: the inner ones, and the outermost."""
    count = config.layers[0] + 1
    return range(count - thrift.outer), range(count - thrift.outer, count)


def _ended(ops: Ops[T], weights: Weights, config: UNetConfig, x: T) -> T:
    x = ops.silu(layers.group_norm(ops, weights.at("conv_norm_out"), x, config.groups, config.eps))
    return layers.conv2d(ops, weights.at("conv_out"), x, config.out_channels)


def time_embedding(ops: Ops[T], weights: Weights, config: UNetConfig, features: T, guidance: T | None) -> T:
    """Sinusoidal features -> (batch, time_width). The guidance embedding (LCM) is added to the features."""
    if guidance is not None:
        projected = layers.linear(ops, weights.at("cond_proj"), guidance, config.channels[0], bias=False)
        features = ops.add(features, projected)
    hidden = ops.silu(layers.linear(ops, weights.at("linear_1"), features, config.time_width))
    return layers.linear(ops, weights.at("linear_2"), hidden, config.time_width)


def down_block(ops: Ops[T], weights: Weights, seen: Pass[T], level: int, x: T) -> T:
    """Residual (and attention) layers of one level; every result is kept in `skips` for the way up."""
    x = down_layers(ops, weights, seen, level, range(seen.config.layers[level]), x)
    if level < seen.config.levels - 1:
        x = layers.conv2d(ops, weights.at("downsamplers", 0, "conv"), x, seen.config.channels[level], stride=2)
        seen.skips.append(x)
    return x


def down_layers(ops: Ops[T], weights: Weights, seen: Pass[T], level: int, indices: range, x: T) -> T:
    """Some layers of a level on the way down."""
    widths = _widths(seen, level)
    for index in indices:
        x = resnet_block(ops, weights.at("resnets", index), x, widths, seen.time)
        if seen.config.down_attention[level]:
            x = transformer(ops, weights.at("attentions", index), x, seen.condition, widths)
        seen.skips.append(x)
    return x


def mid_block(ops: Ops[T], weights: Weights, seen: Pass[T], x: T) -> T:
    """The coarsest level's middle: a residual block, and with attention a second one after it."""
    widths = replace(_widths(seen, seen.config.levels - 1, seen.config.mid_scale), inner=seen.config.middle_width)
    x = resnet_block(ops, weights.at("resnets", 0), x, widths, seen.time)
    if seen.config.mid == "attention":
        x = transformer(ops, weights.at("attentions", 0), x, seen.condition, widths)
        x = resnet_block(ops, weights.at("resnets", 1), x, widths, seen.time)
    return x


def up_block(ops: Ops[T], weights: Weights, seen: Pass[T], place: int, x: T) -> T:
    """One level on the way up, and the step to the next finer one."""
    level = seen.config.levels - 1 - place
    x = up_layers(ops, weights, seen, place, range(seen.config.layers[level] + 1), x)
    # The next skip's own size, not twice ours: odd latents were rounded up on the way down.
    height, width = ops.shape(seen.skips[-1])[2:]
    x = ops.upsample(x, height, width)
    return layers.conv2d(ops, weights.at("upsamplers", 0, "conv"), x, seen.config.channels[level])


def up_layers(ops: Ops[T], weights: Weights, seen: Pass[T], place: int, indices: range, x: T) -> T:
    """Some layers of a level on the way up; one layer more than on the way down, each joined with a skipped result."""
    widths = _widths(seen, seen.config.levels - 1 - place)
    for index in indices:
        x = ops.concat([x, seen.skips.pop()], axis=1)
        x = resnet_block(ops, weights.at("resnets", index), x, widths, seen.time)
        if seen.config.up_attention[place]:
            x = transformer(ops, weights.at("attentions", index), x, seen.condition, widths)
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


def _widths(seen: Pass[Any], level: int, scale: float = 1.0) -> Widths:
    config, thrifty = seen.config, level == seen.config.finest_attention
    return Widths(
        channels=config.channels[level],
        groups=config.groups,
        eps=config.eps,
        heads=config.kept_heads[level] if config.kept_heads else config.heads[level],
        head_size=config.channels[level] // config.heads[level] if config.kept_heads else 0,
        transformer_layers=config.transformer_layers[level],
        linear_projection=config.linear_projection,
        output_scale=scale,
        merge=seen.thrift.merge if thrifty else 0.0,
        fewer_keys=seen.thrift.fewer_keys and thrifty,
    )
