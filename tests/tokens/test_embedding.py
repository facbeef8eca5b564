"""Weights on an embedding, and chunks side by side."""

from __future__ import annotations

import numpy as np
import pytest

from nutshell.tokens import apply_weights, join_chunks


def test_no_weights_change_nothing() -> None:
    hidden = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    assert np.array_equal(apply_weights(hidden, np.ones((2, 5), np.float32)), hidden)


def test_each_chunk_keeps_its_mean_and_its_proportions() -> None:
    hidden = np.random.default_rng(1).normal(0.3, 1, size=(2, 5, 4)).astype(np.float32)
    before = hidden.copy()
    weights = np.ones((2, 5), np.float32)
    weights[0, 1], weights[0, 3] = 1.5, 0.5
    result = apply_weights(hidden, weights)
    assert result.dtype == np.float32
    assert np.array_equal(hidden, before)
    assert np.array_equal(result[1], hidden[1])
    assert result[0].mean() == pytest.approx(hidden[0].mean(), rel=1e-5)
    scale = result[0, 0, 0] / hidden[0, 0, 0]
    np.testing.assert_allclose(result[0], hidden[0] * weights[0, :, None] * scale, rtol=1e-5)


def test_a_worked_example() -> None:
    # Mean 2; times weights (1, 3): mean 5; so everything times 2/5.
    hidden = np.array([[[1.0], [3.0]]], np.float32)
    np.testing.assert_allclose(apply_weights(hidden, np.array([[1, 3]], np.float32)), [[[0.4], [3.6]]], rtol=1e-6)


@pytest.mark.parametrize("weights", [[0, 0], [1, -1]])
def test_a_mean_of_zero_is_not_divided_by(weights: list[float]) -> None:
    hidden = np.array([[[2.0], [2.0]]], np.float32)
    factors = np.array([weights], np.float32)
    np.testing.assert_array_equal(apply_weights(hidden, factors), hidden * factors[..., None])


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        apply_weights(np.zeros((1, 5, 4), np.float32), np.ones((1, 4), np.float32))


def test_chunks_are_joined_in_order() -> None:
    hidden = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    joined = join_chunks(hidden)
    assert joined.shape == (1, 6, 4)
    np.testing.assert_array_equal(joined[0, 3:], hidden[1])
