"""Histograms: exact counts whatever the range, the order and the number of pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from nutshell.quantization import Histogram
from nutshell.quantization.histogram import MOST_BINS


def of(*pieces: np.ndarray) -> Histogram:
    seen = Histogram()
    for piece in pieces:
        seen.add(piece)
    return seen


def same(a: Histogram, b: Histogram) -> bool:
    shape = (a.minimum, a.maximum, a.power, a.first) == (b.minimum, b.maximum, b.power, b.first)
    return shape and np.array_equal(a.counts, b.counts)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_counts_are_numpys(scale: float) -> None:
    values = (np.random.default_rng(0).standard_normal((3, 50, 70)) * scale).astype(np.float32)
    seen = of(values)
    edges = (seen.first + np.arange(len(seen.counts) + 1)) * seen.width
    wanted, _ = np.histogram(values, edges)
    np.testing.assert_array_equal(seen.counts, wanted)
    assert seen.total == values.size
    assert (seen.minimum, seen.maximum) == (values.min(), values.max())
    assert MOST_BINS / 4 < len(seen.counts) <= MOST_BINS


PIECES = some.lists(
    some.lists(some.floats(-1e6, 1e6, width=32), min_size=1, max_size=20).map(lambda v: np.array(v, np.float32)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES, data=some.data())
def test_order_and_pieces_do_not_matter(pieces: list[np.ndarray], data: some.DataObject) -> None:
    whole = of(np.concatenate(pieces))
    shuffled = data.draw(some.permutations(pieces))
    assert same(of(*shuffled), whole)
    merged = Histogram()
    for piece in shuffled:
        merged.merge(of(piece))
    assert same(merged, whole)
    assert whole.total == sum(map(len, pieces))
    assert len(whole.counts) <= MOST_BINS


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-30, 65504.0])
def test_one_value_over_and_over(value: float) -> None:
    seen = of(np.full(9, value, np.float32), np.full(4, value, np.float32))
    assert seen.counts.tolist() == [13]
    assert seen.minimum == seen.maximum == np.float32(value)


def test_nothing_seen_is_nothing() -> None:
    seen = of(np.zeros((0, 3), np.float32))
    seen.merge(Histogram())
    assert seen.total == 0
