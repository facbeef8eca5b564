"""The CLIP text encoder: token vectors in, one hidden state per token out.

Radford et al. 2021 (arXiv:2103.00020); a pre-norm causal transformer. Scopes follow transformers'
CLIPTextModel below `text_model`. Token vectors are looked up outside the graph, straight from the
mapped table: a prompt touches 77 rows of 49,408, and a textual inversion only adds rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nutshell.errors import UnsupportedModel, UsageError
from nutshell.language import tr
from nutshell.networks import layers
from nutshell.networks.ops import Input, Network, Ops
from nutshell.weights import Tensor, Weights

T = TypeVar("T")

TOKEN_TABLE = "embeddings.token_embedding.weight"


@dataclass(frozen=True)
class ClipTextConfig:
    """Sizes of a text encoder.

    `unused_layers`: trained layers at the end that the model never runs (SD 2.x conditions on the
    penultimate layer of OpenCLIP ViT-H; a single file still stores the last).
    """

    width: int
    inner_width: int
    heads: int
    layers: int
    positions: int
    vocabulary: int
    activation: str
    eps: float = 1e-5
    unused_layers: int = 0

    @staticmethod
    def read(config: Mapping[str, Any]) -> ClipTextConfig:
        """From transformers' config.json of a CLIPTextModel."""
        config = config.get("text_config", config)
        activation = config.get("hidden_act", "quick_gelu")
        if activation not in ("quick_gelu", "gelu"):
            raise UnsupportedModel(
                tr("the text encoder's activation {activation!r} is not supported", activation=activation)
            )
        return ClipTextConfig(
            width=config["hidden_size"],
            inner_width=config["intermediate_size"],
            heads=config["num_attention_heads"],
            layers=config["num_hidden_layers"],
            positions=config.get("max_position_embeddings", 77),
            vocabulary=config.get("vocab_size", 49408),
            activation=activation,
            eps=config.get("layer_norm_eps", 1e-5),
        )

    @staticmethod
    def infer(weights: Weights) -> ClipTextConfig:
        """From the shapes alone, with CLIP's conventions for what shapes do not tell.

        Heads are 64 wide in every CLIP. OpenAI's ViT-L (width 768) uses quick_gelu; OpenCLIP's ViT-H
        (1024) uses gelu, and Stable Diffusion 2.x stops before its last layer.
        """
        vocabulary, width = weights.shape(TOKEN_TABLE) or (49408, 768)
        positions, _ = weights.shape("embeddings.position_embedding.weight") or (77, width)
        inner_width, _ = weights.shape("encoder.layers.0.mlp.fc1.weight") or (4 * width, width)
        depth = weights.count("encoder.layers")
        open_clip = width == 1024
        return ClipTextConfig(
            width=width,
            inner_width=inner_width,
            heads=max(1, width // 64),
            layers=depth,
            positions=positions,
            vocabulary=vocabulary,
            activation="gelu" if open_clip else "quick_gelu",
            unused_layers=1 if open_clip and depth == 24 else 0,
        )


def text_encoder(config: ClipTextConfig, batch: int = 1, clip_skip: int = 0) -> Network:
    """`vectors` (batch, positions, width) -> hidden states of the same shape, after the final norm.

    `clip_skip`: how many of the last layers to leave out (web UIs count one higher).
    """
    depth = config.layers - config.unused_layers - clip_skip
    if clip_skip < 0 or depth < 1:
        raise UsageError(
            tr(
                "clip skip {clip_skip} does not fit a text encoder of {layers} layers",
                clip_skip=clip_skip,
                layers=config.layers,
            ),
            tr("use 0 to {layers}", layers=config.layers - config.unused_layers - 1),
        )
    shape = (batch, config.positions, config.width)
    return Network(
        "text_encoder",
        f"text_encoder {depth} layers",
        {"vectors": Input(shape)},
        lambda ops, weights, inputs: encode(ops, weights, config, inputs["vectors"], depth),
    )


def encode(ops: Ops[T], weights: Weights, config: ClipTextConfig, vectors: T, depth: int) -> T:
    """The first `depth` layers, then the final norm."""
    positions = weights.take("embeddings.position_embedding.weight", (config.positions, config.width))
    x = ops.add(vectors, ops.parameter(positions))
    for index in range(depth):
        x = layer(ops, weights.at("encoder", "layers", index), config, x)
    return layers.layer_norm(ops, weights.at("final_layer_norm"), x, config.eps)


def layer(ops: Ops[T], weights: Weights, config: ClipTextConfig, x: T) -> T:
    """Pre-norm attention and feed-forward, each added to its input."""
    attention = weights.at("self_attn")
    h = layers.layer_norm(ops, weights.at("layer_norm1"), x, config.eps)
    query, key, value = (layers.linear(ops, attention.at(f"{name}_proj"), h, config.width) for name in "qkv")
    h = ops.attention(query, key, value, config.heads, causal=True)
    x = ops.add(x, layers.linear(ops, attention.at("out_proj"), h, config.width))

    h = layers.layer_norm(ops, weights.at("layer_norm2"), x, config.eps)
    h = layers.linear(ops, weights.at("mlp", "fc1"), h, config.inner_width)
    h = ops.quick_gelu(h) if config.activation == "quick_gelu" else ops.gelu(h)
    return ops.add(x, layers.linear(ops, weights.at("mlp", "fc2"), h, config.width))


def account(config: ClipTextConfig, weights: Weights, ops: Ops[Any]) -> None:
    """Check every stored tensor against the network, layers that are never run included."""

    def run(view: Weights) -> None:
        view.take(TOKEN_TABLE, (config.vocabulary, config.width))
        vectors = ops.parameter(Tensor("vectors", "F32", (1, config.positions, config.width)))
        encode(ops, view, config, vectors, config.layers)

    weights.account(run)


def token_vectors(
    weights: Weights, config: ClipTextConfig, ids: npt.NDArray[Any], extra: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Rows of the token table for `ids` (batch, length) -> float32 (batch, length, width).

    Ids from `config.vocabulary` on index `extra` (n, width): the vectors of textual inversions.
    """
    table = weights.take(TOKEN_TABLE, (config.vocabulary, config.width))
    out = np.empty((*ids.shape, config.width), np.float32)
    for place in np.ndindex(ids.shape):
        token = int(ids[place])
        if token < config.vocabulary:
            out[place] = table.rows(token, token + 1).f32()[0]
        elif extra is not None and token - config.vocabulary < len(extra):
            out[place] = extra[token - config.vocabulary]
        else:
            raise UnsupportedModel(
                tr(
                    "the tokenizer gives token {token}, the text encoder knows {vocabulary}",
                    token=token,
                    vocabulary=config.vocabulary,
                ),
                tr("the tokenizer belongs to another model"),
            )
    return out
