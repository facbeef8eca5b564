"""A smaller UNet's tensors cut out of a larger one's: the channels, heads and feed-forward units that matter most.

What `UNet2DConditionModel` can express without, and so may be smaller or missing in the shape that is asked for:
channels of any level; heads and feed-forward units (in proportion to the channels); the attention of a level; residual
blocks beyond the first of a level; the middle block, or its attention; the lowest levels, with the middle block.

Group norms: of the whole UNet's groups the most important stay, all where there are as many groups as before, and of
each group the same number of channels. Groups that stay whole keep their statistics exactly. After a concatenation
groups run across two streams, and fit only where all levels are narrowed alike.

Tensors are NumPy arrays of any type that was stored, bfloat16's raw bits too: they are chosen
from, never computed with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.compress.wiring import ABSENT, Axes, Axis, Wiring

Array = npt.NDArray[Any]
Kept = dict[str, npt.NDArray[np.int64]]

FIRST_TIME_WEIGHT = "time_embedding.linear_1.weight"
_STEPS = 1000  # of the noise schedule that Stable Diffusion is trained on


def select(wiring: Wiring, scores: Mapping[str, Array], copy_absent: bool = False) -> Kept:
    """The channels of every axis that stay, ascending. -1 stands for a channel without content.

    scores: the importance of every weight, by the larger UNet's name and in its shape; each is asked for once a use.
    A channel matters as far as it is both made and read: the geometric mean of the scores of the weights that make it
    and of those that read it. What is never made, or never read, goes first. copy_absent: let what read a level that
    is gone read what stands in its place, as BK-SDM does (Kim et al. 2023, arXiv:2305.15798), instead of nothing.
    """
    made, read = ({name: np.zeros(axis.full, np.float32) for name, axis in wiring.axes.items()} for _ in range(2))
    for place in wiring.tensors.values():
        score = None
        for dimension, (axes, totals) in enumerate(zip(place.axes if place.says else (), (made, read), strict=False)):
            if axes and _undecided(wiring, axes):
                score = np.asarray(scores[place.source], np.float32) if score is None else score
                sums = np.moveaxis(score, dimension, 0).reshape(score.shape[dimension], -1).sum(1)
                ends = np.cumsum([wiring.axes[name].full for name in axes])[:-1]
                for name, part in zip(axes, np.split(sums, ends), strict=True):
                    totals[name] += part
    kept = {name: _best(axis, np.sqrt(made[name] * read[name])) for name, axis in wiring.axes.items()}
    if ABSENT in kept and not (copy_absent and wiring.axes[ABSENT].size == wiring.axes[ABSENT].full):
        kept[ABSENT] = np.full(wiring.axes[ABSENT].size, -1)
    return kept


def cut(wiring: Wiring, kept: Kept, name: str, read: Callable[[str], Array], blank: Array | None = None) -> Array:
    """The tensor `name` of the smaller UNet. `read` gives the larger one's by name.

    blank: what stands for a norm's channels without content, which should be able to learn (1 for scales, 0 for
    shifts, in the stored type); None for zeros. Elsewhere such a channel reads nothing: zeros.
    """
    place = wiring.tensors[name]
    tensor = read(place.source)
    for dimension, axes in enumerate(place.axes):
        if axes:
            chosen = joined(wiring, kept, axes)
            taken = tensor.take(np.maximum(chosen, 0), axis=dimension)
            gone = chosen < 0
            if gone.any():
                filling = blank if blank is not None and tensor.ndim == 1 else np.zeros((), tensor.dtype)
                taken[(slice(None),) * dimension + (gone,)] = filling
            tensor = taken
    return tensor


def joined(wiring: Wiring, kept: Mapping[str, Array], axes: Axes) -> npt.NDArray[np.int64]:
    """Channels of axes that lie one after another."""
    parts, start = [], 0
    for name in axes:
        parts.append(np.where(kept[name] >= 0, kept[name] + start, -1))
        start += wiring.axes[name].full
    return np.concatenate(parts)


def retimed(weight: Array, features: Callable[[int, float], Array], size: int) -> npt.NDArray[np.float64]:
    """The time embedding's first weights (out, full) for the smaller UNet's `size` sinusoids: (out, size).

    They are not some of the larger's: least squares over all steps says how to put the larger's together. The slow
    ones among both are nearly one another's sums; `rcond` keeps the factors small at an error of 1e-5 or so in them.
    `features(channels, step)` are the sinusoids of a step.
    """
    ours, theirs = (
        np.stack([features(channels, float(step)) for step in range(_STEPS)]).astype(np.float64)
        for channels in (size, weight.shape[1])
    )
    mixture = np.linalg.lstsq(ours, theirs, rcond=1e-2)[0]
    return np.asarray(weight.astype(np.float64) @ mixture.T)


def _undecided(wiring: Wiring, axes: Axes) -> bool:
    """Whether scores decide anything there; where all stays they need not be read."""
    return any(wiring.axes[name].size < wiring.axes[name].full for name in axes)


def _best(axis: Axis, total: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    runs = total.reshape(axis.full_groups, -1)
    groups = _largest(runs.sum(1), axis.groups)
    inside = np.stack([_largest(runs[group], axis.size // axis.groups) for group in groups])
    return np.asarray((groups[:, None] * runs.shape[1] + inside).reshape(-1), np.int64)


def _largest(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """Places of the largest values, ascending; of equal ones the first."""
    return np.sort(np.argsort(-values, kind="stable")[:count])
