"""Observing: every layer by its canonical name, in order, with what it was truly given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from examples import random_weights

from nutshell.engines import open_engine
from nutshell.errors import EngineError
from nutshell.networks import autoencoder_kl
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.ops import Input, Network, Ops
from nutshell.quantization import Record, observed
from nutshell.quantization.wrap import Wrapper, layer_names
from nutshell.weights import Tensor, Weights, from_ldm, to_ldm

X = np.linspace(-2, 6, 1 * 4 * 5 * 5, dtype=np.float32).reshape(1, 4, 5, 5)


def chain(ops: Ops[Any], weights: Weights, inputs: Any) -> Any:
    x = ops.conv2d(inputs["x"], weights.take("a.weight", (6, 4, 3, 3)), None, 1, (1, 1, 1, 1))
    x = ops.reshape(ops.relu(x), (1, 6, 25))
    return ops.linear(x, weights.at("b").take("weight", (3, 25)), None)


NETWORK = Network("test", "chain", {"x": Input((1, 4, 5, 5))}, chain)


def chain_weights() -> Weights:
    random = np.random.default_rng(3)
    shapes = {"a.weight": (6, 4, 3, 3), "b.weight": (3, 25)}
    # The file calls them otherwise.
    return Weights({k: Tensor.of(f"file.{k}", random.standard_normal(s)) for k, s in shapes.items()})


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_every_layer_is_seen_in_order(name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    record: Record = {}
    session = open_engine(name).compile(observed(NETWORK, record), chain_weights())
    plain = open_engine("numpy").compile(NETWORK, chain_weights())
    np.testing.assert_allclose(session(x=X), plain(x=X), rtol=1e-4, atol=1e-4)
    session(x=2 * X)
    assert list(record) == ["a", "b"]
    assert [record[layer].weight for layer in "ab"] == [(6, 4, 3, 3), (3, 25)]
    assert [record[layer].convolution for layer in "ab"] == [True, False]
    assert [record[layer].inputs.total for layer in "ab"] == [2 * 100, 2 * 150]
    assert (record["a"].inputs.minimum, record["a"].inputs.maximum) == (-4, 12)
    # What the relu before it left.
    assert record["b"].inputs.minimum == 0


def test_a_single_file_gives_the_same_names() -> None:
    config = AutoencoderKLConfig(channels=(8, 16), layers=1, groups=4)
    weights = random_weights(autoencoder_kl.account, config)
    named = dict(zip(weights.names(), weights.tensors(), strict=True))
    from_single_file = Weights(from_ldm("vae", to_ldm("vae", named)))
    assert set(layer_names(weights).values()) == set(layer_names(from_single_file).values())

    def layers(given: Weights) -> list[str]:
        record: Record = {}
        network = observed(autoencoder_kl.decoder(config, 4, 4), record)
        open_engine("numpy").compile(network, given)(latent=np.ones((1, 4, 4, 4), np.float32))
        return list(record)

    seen = layers(weights)
    assert seen == layers(from_single_file)
    assert seen[:2] == ["post_quant_conv", "decoder.conv_in"]


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_engines_that_compute_later_are_refused(name: str) -> None:
    with pytest.raises(EngineError, match="no values to observe"):
        open_engine(name).compile(observed(NETWORK, {}), chain_weights())


def test_what_is_not_finite_is_named() -> None:
    session = open_engine("numpy").compile(observed(NETWORK, {}), chain_weights())
    with pytest.raises(EngineError, match="input of a is not finite"):
        session(x=np.full_like(X, np.nan))


def test_a_wrapper_hands_on_every_operation() -> None:
    vocabulary = {name for name, value in vars(Ops).items() if callable(value) and not name.startswith("_")}
    assert {name for name in vars(Wrapper) if not name.startswith("_")} == vocabulary
