"""What eight bits cost a layer, against the same sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nutshell.engines import open_engine
from nutshell.errors import EngineError
from nutshell.networks.ops import Input, Network
from nutshell.quantization import Noises, Scale, decibels, sensed
from nutshell.weights import Tensor, Weights

RANDOM = np.random.default_rng(3)
LINEAR = RANDOM.standard_normal((24, 16)).astype(np.float32)
CONV = RANDOM.standard_normal((8, 4, 3, 3)).astype(np.float32)
WEIGHTS = Weights(
    {name: Tensor.of(f"file.{name}", value) for name, value in (("l.weight", LINEAR), ("c.weight", CONV))}
)
SCALES = {"l": Scale(float(np.float32(0.05)), 100), "c": Scale(float(np.float32(0.03)), 128)}
GIVEN = {"x": RANDOM.standard_normal((1, 5, 16)).astype(np.float32)}
GIVEN["y"] = RANDOM.standard_normal((1, 4, 7, 6)).astype(np.float32)


def both(ops: object, weights: Weights, inputs: dict[str, object]) -> object:
    ops.conv2d(inputs["y"], weights.take("c.weight", CONV.shape), None, 1, (1, 1, 1, 1))  # type: ignore[attr-defined]
    return ops.linear(inputs["x"], weights.take("l.weight", LINEAR.shape), None)  # type: ignore[attr-defined]


NETWORK = Network("unet", "unet", {name: Input(value.shape) for name, value in GIVEN.items()}, both)


def in_eight_bits(x: np.ndarray, scale: Scale) -> np.ndarray:
    return (np.clip(np.round(x / scale.scale) + scale.zero_point, 0, 255) - scale.zero_point) * scale.scale


def rounded_rows(weight: np.ndarray) -> np.ndarray:
    flat = weight.reshape(len(weight), -1)
    steps = np.abs(flat).max(axis=1, keepdims=True) / 127
    return (np.round(flat / steps) * steps).reshape(weight.shape)


def sqnr(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10(wanted.var() / np.mean((got - wanted) ** 2)))


@pytest.mark.reference
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_by_hand(engine: str) -> None:
    torch = pytest.importorskip("torch")
    noises: Noises = {}
    session = open_engine(engine).compile(sensed(NETWORK, SCALES, noises), WEIGHTS)
    out = session(**GIVEN)
    np.testing.assert_allclose(out, GIVEN["x"] @ LINEAR.T, rtol=1e-5, atol=1e-5)
    linear = sqnr(GIVEN["x"] @ LINEAR.T, in_eight_bits(GIVEN["x"], SCALES["l"]) @ rounded_rows(LINEAR).T)

    def conv(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(x.astype(np.float64)), torch.from_numpy(weight.astype(np.float64))
        return np.asarray(torch.nn.functional.conv2d(*given, padding=1).numpy())

    convolution = sqnr(conv(GIVEN["y"], CONV), conv(in_eight_bits(GIVEN["y"], SCALES["c"]), rounded_rows(CONV)))
    assert noises["l"].db == pytest.approx(linear, abs=0.01)
    assert noises["c"].db == pytest.approx(convolution, abs=0.01)
    assert 15 < noises["l"].db < 50


def test_runs_add_up() -> None:
    once: Noises = {}
    twice: Noises = {}
    engine = open_engine("numpy")
    engine.compile(sensed(NETWORK, SCALES, once), WEIGHTS)(**GIVEN)
    session = engine.compile(sensed(NETWORK, {"l": SCALES["l"]}, twice), WEIGHTS)
    for _ in range(2):
        session(**GIVEN)
    assert twice.keys() == {"l"}
    assert twice["l"].error == pytest.approx(2 * once["l"].error)
    assert twice["l"].db == pytest.approx(once["l"].db)


def test_graphs_hold_no_values() -> None:
    with pytest.raises(EngineError, match="no values"):
        open_engine("openvino").compile(sensed(NETWORK, SCALES, {}), WEIGHTS)


@pytest.mark.parametrize(
    ("signal", "error", "db"), [(100, 1, 20), (1, 100, -20), (0, 1, -150), (1, 0, 150), (0, 0, 150)]
)
def test_decibels(signal: float, error: float, db: float) -> None:
    assert decibels(signal, error) == pytest.approx(db)
