"""Classifier-free guidance (Ho and Salimans 2022), limited to an interval, and rescaled."""

from __future__ import annotations

import numpy as np

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.sampling.step import Array, Predict


def guided(
    predict_with_condition: Predict,
    predict_without: Predict | None,
    scale: float,
    interval: tuple[float, float] = (0.0, 1.0),
    rescale: float = 0.0,
    train_steps: int = 1000,
) -> Predict:
    """Return a network that goes `scale` times the way from the unconditional to the conditional output.

    scale: 1 is no guidance; then, and outside the interval, `predict_without` is not called at all.
    interval: where to guide, as shares of training time: 0 is pure noise, 1 the finished picture, so a
        timestep t lies at `1 - t / (train_steps - 1)`. Being a place on the noise scale, as in Kynkäänniemi
        et al. 2024, it means the same for any number of steps and any strength. Both ends count as inside.
    rescale: 0 to 1, how much of the output's spread to bring back to the conditional one's (Lin et al. 2023,
        equations 15 and 16), against pictures too bright and too dark.
    """
    begin, end = interval
    if not 0.0 <= begin <= end <= 1.0:
        raise UsageError(
            tr("a guidance interval from {begin} to {end} makes no sense", begin=begin, end=end),
            hint=tr("use 0 <= begin <= end <= 1"),
        )
    if not 0.0 <= rescale <= 1.0:
        raise UsageError(tr("a guidance rescale of {rescale} is out of range", rescale=rescale), hint=tr("use 0 to 1"))
    if scale == 1.0:
        return predict_with_condition
    if predict_without is None:
        raise UsageError(tr("guidance needs the unconditional network too"), hint=tr("use a guidance scale of 1"))
    without = predict_without

    def predict(latent: Array, timestep: float) -> Array:
        conditional = predict_with_condition(latent, timestep)
        if not within(interval, timestep, train_steps):
            return conditional
        unconditional = without(latent, timestep)
        output = unconditional + scale * (conditional - unconditional)
        return _rescaled(output, conditional, rescale) if rescale else output

    return predict


def within(interval: tuple[float, float], timestep: float, train_steps: int) -> bool:
    """Whether a timestep lies in an interval of training time, as `guided` takes it."""
    begin, end = interval
    return begin <= 1.0 - timestep / (train_steps - 1) <= end


def _rescaled(output: Array, conditional: Array, share: float) -> Array:
    axes = tuple(range(1, output.ndim))
    spread = conditional.std(axis=axes, keepdims=True) / output.std(axis=axes, keepdims=True)
    rescaled: Array = output * (share * spread + (1.0 - share))
    return np.asarray(rescaled, output.dtype)
