"""Random-weight models of diffusers and transformers, and the ways to run ours beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nutshell.engines import open_engine
from nutshell.engines.engine import Engine
from nutshell.weights import Tensor, Weights

ENGINES = ("numpy", "openvino", "onnx", "torch")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return open_engine(request.param)


@pytest.fixture
def weights_of() -> Callable[..., Weights]:
    """state dict of a torch module -> Weights, under names without `prefix`."""

    def make(module: Any, prefix: str = "") -> Weights:
        state = {name.removeprefix(prefix): value.numpy() for name, value in module.state_dict().items()}
        state = {name: value for name, value in state.items() if not name.endswith("position_ids")}
        return Weights({name: Tensor.of(name, value) for name, value in state.items()}, "test")

    return make


@pytest.fixture
def assert_equal_enough() -> Callable[..., None]:
    """Max abs error at most `limit` times the reference's standard deviation."""

    def check(ours: Any, theirs: Any, limit: float = 1e-3) -> None:
        theirs = np.asarray(theirs)
        assert ours.shape == theirs.shape
        assert np.isfinite(ours).all()
        assert np.abs(ours - theirs).max() <= limit * theirs.std()

    return check
