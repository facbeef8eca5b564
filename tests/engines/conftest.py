"""The engines under test, made once each; one that is not installed skips its tests with the reason."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nutshell.engines.engine import Engine
from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.errors import EngineUnavailable


def _onnx(lean: bool = False) -> Engine:
    from nutshell.engines.onnx_engine import OnnxEngine

    return OnnxEngine(lean=lean)


def _torch() -> Engine:
    from nutshell.engines.torch_engine import TorchEngine

    return TorchEngine()


def _openvino() -> Engine:
    from nutshell.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine()


# Every interpreter that is compared with NumPy. A new engine gets a row here; cards are in test_torch_engine.
MAKERS: dict[str, Callable[[], Engine]] = {
    "onnx": _onnx,
    "onnx-lean": lambda: _onnx(lean=True),
    "torch": _torch,
    "openvino": _openvino,
}


@functools.cache
def _made(name: str) -> Engine | EngineUnavailable:
    try:
        return MAKERS[name]()
    except EngineUnavailable as error:
        return error


@pytest.fixture(params=list(MAKERS))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine but the NumPy reference."""
    made = _made(request.param)
    if isinstance(made, EngineUnavailable):
        pytest.skip(f"{request.param}: {made}")
    return made


@pytest.fixture(scope="session")
def reference() -> NumpyEngine:
    return NumpyEngine()


@pytest.fixture(scope="session")
def assert_close() -> Callable[[Any, Any], None]:
    """Same shape, finite, and nowhere further apart than `relative` of the wanted values' spread."""

    def check(got: Any, wanted: Any, relative: float = 1e-4) -> None:
        assert got.shape == wanted.shape
        assert np.isfinite(got).all()
        spread = max(float(wanted.std()), 1e-6)
        assert float(np.abs(got - wanted).max()) <= relative * spread

    return check
