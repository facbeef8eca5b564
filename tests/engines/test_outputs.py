"""A network of several outputs, on every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nutshell.engines.cost import price
from nutshell.engines.engine import Engine
from nutshell.networks.ops import Input, Network, Ops
from nutshell.weights import Tensor, Weights

WEIGHT = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
X = np.random.default_rng(2).standard_normal((1, 3, 4)).astype(np.float32)


def network() -> Network:
    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
        inner = ops.linear(inputs["x"], weights.take("weight", (5, 4)), None)
        return ops.relu(inner), inner

    return Network("test", "test", {"x": Input((1, 3, 4))}, run, ("output", "inner"))


def weights() -> Weights:
    return Weights({"weight": Tensor.of("weight", WEIGHT)})


def test_every_output_comes_in_order_and_is_the_caller_s(engine: Engine, assert_close: Callable[..., None]) -> None:
    session = engine.compile(network(), weights(), "f32", threads=1)
    inner = X @ WEIGHT.T
    first, second = session.run(x=X)
    assert_close(first, np.maximum(inner, 0))
    assert_close(second, inner)
    np.testing.assert_array_equal(session(x=X), first)
    # Another call, or the caller, does not change what was given.
    before = second.copy()
    second[:] = 0
    again = session.run(x=X)[1]
    session.run(x=-X)
    np.testing.assert_array_equal(again, before)
    session.close()


def test_the_reference_and_the_prices_know_them_too() -> None:
    from nutshell.engines import open_engine

    first, second = open_engine("numpy").compile(network(), weights()).run(x=X)
    np.testing.assert_allclose(second, X @ WEIGHT.T, rtol=1e-5)
    np.testing.assert_array_equal(first, np.maximum(second, 0))
    # A product, and the ReLU of what it gives.
    assert price(network(), weights()).operations == 2 * 15 * 4 + 15
