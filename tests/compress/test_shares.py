"""Operations by layer, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nutshell.compress.shares import layer_operations, shares
from nutshell.engines.cost import price
from nutshell.networks import autoencoder_tiny
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.ops import Input, Network
from nutshell.weights import Tensor, Weights
from tests.quantization.examples import random_weights


def both(ops, weights, inputs):  # type: ignore[no-untyped-def]
    x = ops.conv2d(inputs["x"], weights.take("c.weight", (8, 4, 3, 3)), None, 2, (1, 1, 1, 1))
    flat = ops.reshape(x, (1, 8, 16))
    ops.linear(flat, weights.take("l.weight", (5, 16)), None)
    return ops.linear(flat, weights.take("l.weight", (5, 16)), None)


def test_by_hand() -> None:
    shapes = {"c.weight": (8, 4, 3, 3), "l.weight": (5, 16)}
    weights = Weights({name: Tensor(f"file.{name}", "F16", shape) for name, shape in shapes.items()})
    found = layer_operations(Network("unet", "unet", {"x": Input((1, 4, 8, 8))}, both), weights)
    assert found == {"c": 2 * 8 * 4 * 4 * 4 * 9, "l": 2 * (2 * 8 * 5 * 16)}
    part = shares({"unet": found, "text": {"a": 100}}, {"unet": 3, "text": 2})
    total = 3 * sum(found.values()) + 200
    assert part["unet"]["c"] == pytest.approx(3 * found["c"] / total)
    assert part["text"] == {"a": pytest.approx(200 / total)}
    assert sum(sum(layers.values()) for layers in part.values()) == pytest.approx(1)


def test_layers_take_most_of_a_network() -> None:
    config = AutoencoderTinyConfig((16,) * 4, (16,) * 4, (1, 1, 1, 1), (1, 1, 1, 1))
    network = autoencoder_tiny.decoder(config, 4, 4)
    weights = random_weights(autoencoder_tiny.account, config)
    layers, whole = layer_operations(network, weights), price(network, weights).operations
    assert 0.8 * whole < sum(layers.values()) < whole
    assert all(np.array(list(layers.values())) > 0)
