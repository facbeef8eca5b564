"""How much of a layer norm's outliers to move into the weights behind it: what leaves least error on rows that it saw.

SmoothQuant (Xiao et al. 2022, arXiv:2211.10438, equation 4) divides channel j by max|x_j|^a / max|w_j|^(1 - a), with
one strength a for a model; here each norm has the one that is best for it, searched as in AWQ (Lin et al. 2023,
arXiv:2306.00978, section 3.2) over true rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.quantization.histogram import Histogram
from nutshell.quantization.migrate import Migration
from nutshell.quantization.norms import NormSeen
from nutshell.quantization.scales import Scale, Scales, clipped, int8_rows
from nutshell.weights import Tensor

F32 = npt.NDArray[np.float32]

# Decibels that a norm's linears must gain together, or it stays as it is.
LEAST_GAIN_DB = 1.0
_STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# A channel that was never used, or no weight takes: its share of the largest.
_LEAST = 1e-4


@dataclass(frozen=True)
class Smoothed:
    """migration: of one norm. scale: of its output then. gain_db: in the error of the linears behind it."""

    migration: Migration
    scale: Scale
    gain_db: float


def smoothed(seen: NormSeen, weights: Mapping[str, Tensor], scales: Scales) -> Smoothed | None:
    """The best migration of a norm; None where none gains `LEAST_GAIN_DB`.

    weights, scales: of the linears behind it, without migration. Linears without a scale stay in float32 and do not
    count.
    """
    rounded = [name for name in seen.linears if name in scales]
    if not rounded or not seen.storable or not len(seen.rows):
        return None
    rows = seen.rows.astype(np.float32)
    reach = _floored(seen.reach)
    tall = _floored(np.max([np.abs(weights[name].f32()).max(axis=0) for name in rounded], axis=0))
    plain = _Way(None, scales[rounded[0]])
    ways = [plain]
    for strength in _STRENGTHS:
        factors = reach**strength / tall ** (1 - strength)
        moved = Migration.near(seen.linears, factors / np.exp(np.log(factors).mean()))
        ways.append(_Way(moved, clipped(_distribution(seen, rows, moved.factors))))
    losses = _losses(rows, seen.stands, [weights[name] for name in rounded], ways)
    best = min(range(len(ways)), key=lambda place: losses[place])
    chosen, gain = ways[best], _gain_db(losses[0], losses[best])
    if chosen.migration is None or gain < LEAST_GAIN_DB:
        return None
    return Smoothed(chosen.migration, chosen.scale, gain)


@dataclass(frozen=True)
class _Way:
    """migration: None to leave the norm as it is. scale: of its output."""

    migration: Migration | None
    scale: Scale


def _losses(rows: F32, stands: npt.NDArray[np.float64], weights: Sequence[Tensor], ways: Sequence[_Way]) -> list[float]:
    """Of each way: what eight bits change of the linears' outputs over what these vary, summed over the linears."""
    losses = [0.0] * len(ways)
    for weight in weights:
        values = weight.f32()
        wanted = rows @ values.T
        signal = _weighed(wanted - wanted.mean(axis=0), stands) or 1.0
        for place, way in enumerate(ways):
            factors = np.float32(1) if way.migration is None else way.migration.factors
            stored, steps = int8_rows(Tensor.of(weight.name, values * factors))
            got = _rounded(rows / factors, way.scale) @ (stored * steps[:, None]).T
            losses[place] += _weighed(got - wanted, stands) / signal
    return losses


def _weighed(errors: F32, stands: npt.NDArray[np.float64]) -> float:
    """Their squares, each row's as often as it stands for others."""
    return float(np.square(errors, dtype=np.float64).sum(axis=1) @ stands)


def _rounded(x: F32, scale: Scale) -> F32:
    step = np.float32(scale.scale)
    return np.asarray(np.clip(np.rint(x / step), -scale.zero_point, 255 - scale.zero_point) * step, np.float32)


def _distribution(seen: NormSeen, rows: F32, factors: F32) -> Histogram:
    """Of the divided output: its kept rows for all that they stand for, and every channel's ends."""
    found = Histogram()
    for stands in np.unique(seen.stands):
        some = Histogram()
        some.add(rows[seen.stands == stands] / factors)
        some.counts *= max(1, round(float(stands)))
        found.merge(some)
    found.add(np.concatenate([seen.low, seen.high]) / np.concatenate([factors, factors]))
    return found


def _floored(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = values.astype(np.float64)
    return np.asarray(np.maximum(values, max(_LEAST * float(values.max()), 1e-30)))


def _gain_db(before: float, after: float) -> float:
    return 10 * math.log10(before / after) if before > 0 and after > 0 else 0.0
