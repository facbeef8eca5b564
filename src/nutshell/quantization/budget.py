"""How much eight bits may cost: a number of decibels, at least or at most lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_DB = 35.0


@dataclass(frozen=True)
class CurvePoint:
    """What was measured: with so many layers kept, the pictures are so near to those in float32 (PSNR, dB)."""

    kept: int
    db: float


def kept_layers(curve: Sequence[CurvePoint], budget: float) -> int | None:
    """The fewest layers to keep within a budget; None where no point of the curve is.

    budget: above 0, so many decibels to float32 at least; else, so many below the best point at most (-1: one).
    """
    return fewest(curve, least_db(curve, budget))


def least_db(curve: Sequence[CurvePoint], budget: float) -> float:
    """How near pictures must be to those in float32, by a budget as above and the curve that it counts from."""
    return budget if budget > 0 else max((point.db for point in curve), default=0.0) + budget


def fewest(curve: Sequence[CurvePoint], least: float) -> int | None:
    """The fewest layers to keep to be so near; None where no point of the curve is."""
    return min((point.kept for point in curve if point.db >= least), default=None)
