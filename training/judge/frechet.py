"""Frechet distance: how far apart two sets of pictures are, as the judge sees them.

Both sets of features are taken for Gaussians; the distance is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Mean (width,) and covariance (width, width) of a set of features."""

    mean: Matrix
    covariance: Matrix


def spread_of(features: NDArray[np.floating]) -> Spread:
    """Mean and covariance of features (pictures, width); at least two pictures."""
    if len(features) < 2:
        raise ValueError(f"a covariance needs two pictures or more, not {len(features)}")
    exact = features.astype(np.float64)
    return Spread(exact.mean(axis=0), np.atleast_2d(np.cov(exact, rowvar=False)))


def frechet_distance(first: Spread, second: Spread) -> float:
    """0 for equal spreads, larger for more different ones.

    The trace of (C1 C2)^(1/2) is that of (R C2 R)^(1/2) with R the root of C1, which is symmetric, so that
    eigenvalues of symmetric matrices are all it takes.
    """
    root = _root(first.covariance)
    middle = np.linalg.eigvalsh(root @ second.covariance @ root)
    traces = np.trace(first.covariance) + np.trace(second.covariance) - 2 * np.sqrt(middle.clip(0)).sum()
    return float(np.square(first.mean - second.mean).sum() + traces)


def _root(covariance: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
