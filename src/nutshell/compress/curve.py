"""The budget curve: which numbers of kept layers to measure, so that a budget is met later without running anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping

# Bisecting stops after so many measurements beyond the first that reaches the target.
_BISECTIONS = 3


def measure_curve(
    layers: int, target: float, known: Mapping[int, float], measure: Callable[[int], float]
) -> dict[int, float]:
    """Kept layers -> dB for a handful of numbers, found by measuring.

    layers: how many there are. target: dB that a budget asks for most often; the curve is finest where it is reached.
    known: what was measured before, which is not measured again. measure(kept) -> dB.

    First none is kept, then a sixteenth, an eighth, ... until the target is reached; then the fewest that reach it are
    bisected. Last come steps beyond, for those who ask for more.
    """
    points: dict[int, float] = {}

    def at(kept: int) -> float:
        if kept not in points:
            points[kept] = known[kept] if kept in known else measure(kept)
        return points[kept]

    ladder = sorted({0, *(layers // share for share in (16, 8, 4, 2)), 3 * layers // 4, max(0, layers - 1)})
    reached = next((kept for kept in ladder if at(kept) >= target), None)
    if reached is None:
        return dict(sorted(points.items()))
    short = max((kept for kept in points if kept < reached), default=reached)
    good = reached
    for _ in range(_BISECTIONS):
        middle = (short + good) // 2
        if middle in (short, good):
            break
        if at(middle) >= target:
            good = middle
        else:
            short = middle
    for kept in [kept for kept in ladder if kept > reached][:2]:
        at(kept)
    return dict(sorted(points.items()))
