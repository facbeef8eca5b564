"""The two blocks that denoisers and autoencoders are made of: residual block and spatial transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from nutshell.networks import layers
from nutshell.networks.fewer_tokens import merged_tokens, pooled_tokens
from nutshell.networks.ops import Ops
from nutshell.weights import Weights

T = TypeVar("T")


@dataclass(frozen=True)
class Widths:
    """What the blocks of one level share.

    merge, fewer_keys: see `Thrift`. head_size: of each head, where they do not fill the channels (0: they do). inner:
    channels between the convolutions, and a quarter of the feed-forward units (0: as many as `channels`).
    """

    channels: int
    groups: int
    eps: float
    heads: int = 1
    transformer_layers: int = 1
    linear_projection: bool = False
    output_scale: float = 1.0
    merge: float = 0.0
    fewer_keys: bool = False
    head_size: int = 0
    inner: int = 0


def resnet_block(ops: Ops[T], weights: Weights, x: T, widths: Widths, time: T | None = None) -> T:
    """norm, silu, conv, (+ time), norm, silu, conv, added to the input (He et al. 2016; Ho et al. 2020).

    x (batch, any, height, width) -> (batch, channels, height, width). `time` (batch, time_width) is
    already activated; None for autoencoders.
    """
    inner = widths.inner or widths.channels
    h = ops.silu(layers.group_norm(ops, weights.at("norm1"), x, widths.groups, widths.eps))
    h = layers.conv2d(ops, weights.at("conv1"), h, inner)
    if time is not None:
        shift = layers.linear(ops, weights.at("time_emb_proj"), time, inner)
        h = ops.add(h, ops.reshape(shift, (ops.shape(shift)[0], inner, 1, 1)))
    h = ops.silu(layers.group_norm(ops, weights.at("norm2"), h, widths.groups, widths.eps))
    h = layers.conv2d(ops, weights.at("conv2"), h, widths.channels)
    if ops.shape(x)[1] != widths.channels:
        x = layers.conv2d(ops, weights.at("conv_shortcut"), x, widths.channels, kernel=1)
    out = ops.add(x, h)
    return out if widths.output_scale == 1.0 else ops.affine(out, 1.0 / widths.output_scale)


def transformer(ops: Ops[T], weights: Weights, x: T, condition: T, widths: Widths) -> T:
    """Spatial transformer: the picture as a sequence attends to itself and to the condition.

    x (batch, channels, height, width), condition (batch, length, condition_width). The projections in
    and out are 1x1 convolutions in SD 1.x and linears in 2.x.
    """
    _, channels, height, width = ops.shape(x)
    h = layers.group_norm(ops, weights.at("norm"), x, widths.groups, 1e-6)
    if widths.linear_projection:
        h = layers.linear(ops, weights.at("proj_in"), layers.to_sequence(ops, h), channels)
    else:
        h = layers.to_sequence(ops, layers.conv2d(ops, weights.at("proj_in"), h, channels, kernel=1))
    for index in range(widths.transformer_layers):
        h = transformer_layer(ops, weights.at("transformer_blocks", index), h, condition, widths, (height, width))
    if widths.linear_projection:
        h = layers.to_picture(ops, layers.linear(ops, weights.at("proj_out"), h, channels), height, width)
    else:
        h = layers.conv2d(ops, weights.at("proj_out"), layers.to_picture(ops, h, height, width), channels, kernel=1)
    return ops.add(x, h)


def transformer_layer(ops: Ops[T], weights: Weights, x: T, condition: T, widths: Widths, grid: tuple[int, int]) -> T:
    """Self-attention, cross-attention, gated feed-forward, each normalized before and added after.

    grid: height and width of the picture that the sequence was.
    """
    inner = widths.heads * widths.head_size
    x = ops.add(x, self_attention(ops, weights, x, widths, grid))
    h = layers.layer_norm(ops, weights.at("norm2"), x)
    x = ops.add(x, attention(ops, weights.at("attn2"), h, condition, widths.heads, inner=inner))
    h = layers.layer_norm(ops, weights.at("norm3"), x)
    return ops.add(x, gated_feed_forward(ops, weights.at("ff", "net"), h, 4 * widths.inner))


def self_attention(ops: Ops[T], weights: Weights, x: T, widths: Widths, grid: tuple[int, int]) -> T:
    """The picture's tokens attend to each other: all of them, or fewer where that was asked for."""
    heads, inner = widths.heads, widths.heads * widths.head_size
    h = layers.layer_norm(ops, weights.at("norm1"), x)
    seen = pooled_tokens(ops, h, grid) if widths.fewer_keys else h
    if not widths.merge:
        return attention(ops, weights.at("attn1"), h, seen, heads, inner=inner)
    merged, parted = merged_tokens(ops, x, h, grid, widths.merge)
    seen = seen if widths.fewer_keys else merged
    return parted(attention(ops, weights.at("attn1"), merged, seen, heads, inner=inner))


def attention(ops: Ops[T], weights: Weights, x: T, context: T, heads: int, bias: bool = False, inner: int = 0) -> T:
    """Queries from x, keys and values from `context`; the output projection always has a bias.

    inner: channels of all heads; 0 for the width of x.
    """
    width = ops.shape(x)[-1]
    inner = inner or width
    query = layers.linear(ops, weights.at("to_q"), x, inner, bias)
    key = layers.linear(ops, weights.at("to_k"), context, inner, bias)
    value = layers.linear(ops, weights.at("to_v"), context, inner, bias)
    mixed = ops.attention(query, key, value, heads, causal=False)
    return layers.linear(ops, weights.at("to_out", 0), mixed, width)


def gated_feed_forward(ops: Ops[T], weights: Weights, x: T, inner: int = 0) -> T:
    """GEGLU (Shazeer 2020, arXiv:2002.05202): half of the inner width gates the other half. inner: 0 for 4 widths."""
    width = ops.shape(x)[-1]
    inner = inner or 4 * width
    both = layers.linear(ops, weights.at(0, "proj"), x, 2 * inner)
    last = len(ops.shape(both)) - 1
    gate = ops.gelu(ops.slice(both, last, inner, 2 * inner))
    return layers.linear(ops, weights.at(2), ops.multiply(ops.slice(both, last, 0, inner), gate), width)
