"""The Frechet distance against scipy's matrix root, and where the answer is known."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from training.judge.frechet import Spread, frechet_distance, spread_of  # noqa: E402


def features(seed: int, width: int = 12) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(200, width)) @ random.normal(size=(width, width)) + random.normal(size=width)


def test_against_scipy() -> None:
    sqrtm = pytest.importorskip("scipy.linalg").sqrtm
    first, second = spread_of(features(1)), spread_of(features(2))
    root = sqrtm(first.covariance @ second.covariance).real
    expected = np.square(first.mean - second.mean).sum() + np.trace(first.covariance + second.covariance - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_no_distance_to_itself_and_the_same_both_ways() -> None:
    first, second = spread_of(features(1)), spread_of(features(2))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first))


def test_a_moved_cloud_is_as_far_as_it_was_moved() -> None:
    cloud = features(3)
    assert frechet_distance(spread_of(cloud), spread_of(cloud + 2)) == pytest.approx(4 * cloud.shape[1], rel=1e-6)


def test_fewer_pictures_than_features_still_have_a_distance() -> None:
    first, second = spread_of(features(1)[:5]), spread_of(features(2)[:5])
    assert frechet_distance(first, second) > 0
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-4)


def test_one_picture_has_no_spread() -> None:
    with pytest.raises(ValueError, match="two pictures"):
        spread_of(features(1)[:1])


def test_two_known_gaussians() -> None:
    first, second = Spread(np.zeros(2), np.eye(2)), Spread(np.array([3.0, 4.0]), 4 * np.eye(2))
    assert frechet_distance(first, second) == pytest.approx(25 + 2)
