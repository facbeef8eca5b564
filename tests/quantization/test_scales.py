"""Scales: zero stays zero, clipping loses least, weights round to the nearest of 255 values."""

from __future__ import annotations

import numpy as np
import pytest

from nutshell.engines.numpy_engine import NumpyOps
from nutshell.errors import CorruptFile
from nutshell.quantization import FULL_WEIGHT, SAFE_WEIGHT, Histogram, Scale, clipped, int8_rows
from nutshell.weights import Tensor


def loss(values: np.ndarray, scale: Scale) -> float:
    """Mean squared error of the values in eight bits, measured on the values themselves."""
    return float(np.mean((NumpyOps().fake_quantize(values, scale.scale, scale.zero_point) - values) ** 2))


def samples(kind: str) -> np.ndarray:
    random = np.random.default_rng(1)
    normal = random.standard_normal(40_000)
    values = {
        "normal": normal,
        "heavy tails": random.standard_t(3, 40_000),
        "silu": normal * 3 / (1 + np.exp(-normal * 3)),
        "relu": np.maximum(normal, 0),
        "off centre": normal * 0.1 + 4,
        "all negative": -np.abs(normal),
    }[kind]
    return values.astype(np.float32)


KINDS = ("normal", "heavy tails", "silu", "relu", "off centre", "all negative")


def scale_of(values: np.ndarray) -> Scale:
    seen = Histogram()
    seen.add(values)
    return clipped(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_clipping_loses_about_as_little_as_can_be(kind: str) -> None:
    values = samples(kind)
    chosen = loss(values, scale_of(values))
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    best = min(
        loss(values, Scale.between(low * left, high * right))
        for left in (np.linspace(0.05, 1, 30) if low else [0.0])
        for right in (np.linspace(0.05, 1, 30) if high else [0.0])
    )
    assert chosen <= 1.03 * best


def test_heavy_tails_are_cut_and_others_are_not() -> None:
    values = np.random.default_rng(4).laplace(size=400_000).astype(np.float32)
    assert loss(values, scale_of(values)) < 0.85 * loss(values, Scale.between(float(values.min()), float(values.max())))
    even = np.linspace(-1, 3, 10_000, dtype=np.float32)
    np.testing.assert_allclose((scale_of(even).low, scale_of(even).high), (-1, 3), atol=0.03)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 5.0), (2.0, 5.0), (-7.0, 0.0), (-7.0, -2.0), (0.0, 0.0)])
def test_a_range_holds_zero_exactly(low: float, high: float) -> None:
    scale = Scale.between(low, high)
    assert 0 <= scale.zero_point <= 255
    assert scale.scale == np.float32(scale.scale) > 0
    assert scale.low <= 0 <= scale.high
    assert scale.low <= low + scale.scale / 2
    assert scale.high >= high - scale.scale / 2
    zero = np.zeros(1, np.float32)
    assert NumpyOps().fake_quantize(zero, scale.scale, scale.zero_point) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (4, 17)])
@pytest.mark.parametrize("most", [FULL_WEIGHT, SAFE_WEIGHT])
def test_weights_round_to_the_nearest(most: int, shape: tuple[int, ...], dtype: type) -> None:
    weight = (np.random.default_rng(2).standard_normal(shape) * 0.2).astype(dtype)
    weight[1] = 0
    weight[2] *= 100
    values, scales = int8_rows(Tensor.of("w", weight), most)
    assert (values.dtype, values.shape, scales.dtype, scales.shape) == (np.int8, shape, np.float32, shape[:1])
    assert np.abs(values.astype(int)).max() == most
    # Every channel but the empty one uses the whole range.
    largest = np.abs(values.reshape(shape[0], -1).astype(int)).max(axis=1)
    assert largest.tolist() == [most if row != 1 else 0 for row in range(shape[0])]
    steps = scales.reshape(-1, *(1,) * (len(shape) - 1))
    assert (np.abs(values * steps - weight.astype(np.float32)) <= 0.501 * steps).all()


def test_weights_that_vanish_or_are_not_finite() -> None:
    faint = np.full((2, 3), 1e-44, np.float32)
    values, scales = int8_rows(Tensor.of("w", faint))
    assert not values.any()
    assert scales.tolist() == [1, 1]
    with pytest.raises(CorruptFile, match="w holds"):
        int8_rows(Tensor.of("w", np.array([[1, np.inf]], np.float32)))
