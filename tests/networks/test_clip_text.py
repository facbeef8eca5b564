"""The text encoder against transformers' CLIPTextModel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nutshell.engines.cost import CostOps
from nutshell.errors import UnsupportedModel, UsageError
from nutshell.networks import clip_text
from nutshell.networks.clip_text import ClipTextConfig

pytestmark = pytest.mark.reference


def theirs(**change: Any) -> Any:
    torch = pytest.importorskip("torch")
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    sizes = {"vocab_size": 99, "hidden_size": 128, "intermediate_size": 160, "num_hidden_layers": 4}
    config = {"num_attention_heads": 2, "max_position_embeddings": 17, "eos_token_id": 98, **sizes, **change}
    return CLIPTextModel(CLIPTextConfig(**config)).eval()


def ours(model: Any, weights_of: Any) -> Any:
    return weights_of(model, "text_model.")


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("clip_skip", [0, 1, 2])
def test_equals_transformers(
    activation: str, clip_skip: int, engine: Any, weights_of: Any, assert_equal_enough: Any
) -> None:
    import torch

    model = theirs(hidden_act=activation)
    config, weights = ClipTextConfig.read(model.config.to_dict()), ours(model, weights_of)
    ids = np.random.default_rng(1).integers(0, 98, (1, 17))
    ids[0, 9:] = 98
    with torch.no_grad():
        states = model(torch.from_numpy(ids), output_hidden_states=True).hidden_states
        norm = getattr(model, "text_model", model).final_layer_norm
        expected = norm(states[-(clip_skip + 1)]).numpy()
    session = engine.compile(clip_text.text_encoder(config, clip_skip=clip_skip), weights)
    assert_equal_enough(session(vectors=clip_text.token_vectors(weights, config, ids)), expected)


def test_every_tensor_is_accounted_for(weights_of: Any) -> None:
    model = theirs()
    clip_text.account(ClipTextConfig.read(model.config.to_dict()), ours(model, weights_of), CostOps())


def test_infers_sizes(weights_of: Any) -> None:
    model = theirs()
    inferred = ClipTextConfig.infer(ours(model, weights_of))
    assert inferred == ClipTextConfig.read(model.config.to_dict())


def test_open_clip_stops_before_its_last_layer(weights_of: Any) -> None:
    model = theirs(hidden_size=1024, num_attention_heads=16, intermediate_size=64, num_hidden_layers=24)
    inferred = ClipTextConfig.infer(ours(model, weights_of))
    assert (inferred.heads, inferred.layers, inferred.unused_layers, inferred.activation) == (16, 24, 1, "gelu")
    clip_text.account(inferred, ours(model, weights_of), CostOps())


def test_extra_vectors_follow_the_vocabulary(weights_of: Any) -> None:
    model = theirs()
    config, weights = ClipTextConfig.read(model.config.to_dict()), ours(model, weights_of)
    extra = np.ones((2, 128), np.float32)
    out = clip_text.token_vectors(weights, config, np.array([[5, 99, 100]]), extra)
    np.testing.assert_array_equal(out[0, 1:], extra)
    with pytest.raises(UnsupportedModel, match="token 101"):
        clip_text.token_vectors(weights, config, np.array([[101]]), extra)


@pytest.mark.parametrize("clip_skip", [-1, 4, 400])
def test_refuses_a_skip_that_leaves_nothing(clip_skip: int) -> None:
    config = ClipTextConfig(8, 8, 1, 4, 4, 4, "gelu")
    with pytest.raises(UsageError, match="clip skip"):
        clip_text.text_encoder(config, clip_skip=clip_skip)
