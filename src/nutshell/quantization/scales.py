"""How values become eight bits: one scale and zero point per layer input, one scale per output channel of a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nutshell.errors import CorruptFile
from nutshell.language import tr
from nutshell.quantization.histogram import Histogram
from nutshell.weights import Tensor

# Largest int8 weights. x86 processors without VNNI add two products of an input and a weight in 16 bits
# that saturate: 2 * 255 * 127 is too much for them and gives wrong sums, 2 * 255 * 63 is not.
FULL_WEIGHT = 127
SAFE_WEIGHT = 63

# The least float32 that no engine takes for zero.
_LEAST = float(np.finfo(np.float32).tiny)

# Bounds tried at each end of a distribution, and how many of the best pairs are tried out.
_CANDIDATES = 128
_FINALISTS = 64


@dataclass(frozen=True)
class Scale:
    """An input in eight bits: q = round(x / scale) + zero_point, within 0..255. `scale` is a float32."""

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """The least value that is not clipped."""
        return -self.zero_point * self.scale

    @property
    def high(self) -> float:
        """The greatest value that is not clipped."""
        return (255 - self.zero_point) * self.scale

    @staticmethod
    def between(low: float, high: float) -> Scale:
        """The one that spans low..high, widened to hold zero, moved by at most half a step so that zero is exact."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32(max((high - low) / 255, _LEAST)))
        return Scale(scale, round(-low / scale))


# By name of the layer whose input it is.
Scales = Mapping[str, Scale]


def clipped(seen: Histogram) -> Scale:
    """The scale that loses least over the distribution `seen`, in mean squared error.

    A narrower range has finer steps, whose rounding costs about step^2 / 12 a value, and clips more of
    the tails, which costs each value its squared distance to the bound (Sung et al. 2015,
    arXiv:1511.06488). Every pair of candidate bounds is judged so, and the best pairs by true rounding.
    """
    lows, low_cost, low_count = _tails(seen, upper=False)
    highs, high_cost, high_count = _tails(seen, upper=True)
    step = (highs[None, :] - lows[:, None]) / 255
    kept = seen.total - low_count[:, None] - high_count[None, :]
    cost = kept * step**2 / 12 + low_cost[:, None] + high_cost[None, :]
    best = np.argsort(cost, axis=None, kind="stable")[:_FINALISTS]
    pairs = zip(*np.unravel_index(best, cost.shape), strict=True)
    return min((Scale.between(float(lows[low]), float(highs[high])) for low, high in pairs), key=_loss(seen))


def symmetric(seen: Histogram) -> Scale:
    """The scale of zero point 128 that loses least over the distribution `seen`, in mean squared error."""
    reach = max(-seen.minimum, seen.maximum)
    bounds = reach * np.linspace(0.0, 1.0, _CANDIDATES + 1)[1:]
    scales = (Scale(float(np.float32(max(bound / 127, _LEAST))), 128) for bound in bounds)
    return min(scales, key=_loss(seen))


def _loss(seen: Histogram) -> Callable[[Scale], float]:
    """The summed squared error of the values in `seen` under a scale, each taken as the middle of its bin."""
    centers, counts = seen.centers, seen.counts

    def loss(scale: Scale) -> float:
        stored = np.clip(np.rint(centers / scale.scale), -scale.zero_point, 255 - scale.zero_point)
        return float(((stored * scale.scale - centers) ** 2) @ counts)

    return loss


def _tails(seen: Histogram, upper: bool) -> tuple[npt.NDArray[np.float64], ...]:
    """Candidate bounds at one end, and for each the squared error and number of the values past it."""
    extreme = max(seen.maximum, 0.0) if upper else min(seen.minimum, 0.0)
    bounds = extreme * np.linspace(0.0, 1.0, _CANDIDATES + 1)[1:] if extreme else np.zeros(1)
    centers, counts = seen.centers, seen.counts.astype(np.float64)
    beyond = np.maximum(centers - bounds[:, None], 0) if upper else np.maximum(bounds[:, None] - centers, 0)
    return bounds, (beyond**2) @ counts, (beyond > 0) @ counts


def int8_rows(weight: Tensor, largest: int = FULL_WEIGHT) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """A stored weight (out, ...) as int8 within -largest..largest and the scale of each output channel, (out,).

    Symmetric, and each channel up to its largest value: with some hundreds of values to a channel,
    clipping would gain nothing. `largest`: FULL_WEIGHT or SAFE_WEIGHT.
    """
    values = weight.f32()
    rows = values.reshape(len(values), -1)
    reach = np.abs(rows).max(axis=1)
    if not np.isfinite(reach).all():
        raise CorruptFile(
            tr("{name} holds values that are not finite", name=weight.name), tr("download the model again")
        )
    scales = reach / np.float32(largest)
    # A channel of zeros, or as good as: its scale must not vanish.
    scales = np.where(scales < _LEAST, np.float32(1), scales)
    stored = np.rint(rows / scales[:, None])
    return np.clip(stored, -largest, largest).astype(np.int8).reshape(values.shape), scales
