"""Which levels of noise a run visits: `Schedule`, built from `Diffusion`, a number of steps and a `Grid`.

Schedulers in diffusers disagree about how timesteps are spaced and rounded, and pictures depend on it. Their
four habits are the four rows of `Grid`. Table 2 of Lin et al. 2023 names the spacings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.sampling.diffusion import CURVES, LEAST_SIGNAL, SPACINGS, Diffusion, known, signal_table
from nutshell.sampling.step import CLEAN, Level

Floats = npt.NDArray[np.float64]


class Grid(Enum):
    """A family of samplers' habit of choosing timesteps."""

    WHOLE = "whole timesteps; each step ends train_steps // steps lower (DDIM, PLMS)"
    REAL = "timesteps between the trained ones, curves bent between the spaced ends (Euler, Heun, LMS)"
    INNER = "whole timesteps of one step more, without the last; curves over all training (DPM++, UniPC)"
    DISTILLED = "a choice from the grid that the network was distilled on (LCM, TCD)"


@dataclass(frozen=True)
class Schedule:
    """The levels of one run.

    levels: where each step calls the network, noisiest first.
    targets: where each step ends; with DDIM and PLMS not always the next step's level.
    start_scale: what unit noise is multiplied with to be the first latent.
    """

    diffusion: Diffusion
    levels: tuple[Level, ...]
    targets: tuple[Level, ...]
    start_scale: float

    @property
    def steps(self) -> int:
        return len(self.levels)

    @property
    def timesteps(self) -> tuple[float, ...]:
        return tuple(level.timestep for level in self.levels)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Noise-to-signal ratios, k-diffusion's `sigmas`: one a step and the last target's."""
        return (*(level.ratio for level in self.levels), self.targets[-1].ratio)

    def after(self, strength: float) -> Schedule:
        """Keep the last `strength` (0 to 1) of the steps, rounded down, for a run that starts from a picture."""
        if not 0.0 < strength <= 1.0:
            raise UsageError(
                tr("a strength of {strength} is out of range", strength=strength), hint=tr("use more than 0, up to 1")
            )
        count = int(self.steps * strength)
        if count < 1:
            raise UsageError(
                tr("a strength of {strength} leaves none of {steps} steps", strength=strength, steps=self.steps),
                hint=tr("use at least {count} steps, or more strength", count=math.ceil(1 / strength)),
            )
        return replace(self, levels=self.levels[-count:], targets=self.targets[-count:])

    def resting(self, index: int) -> Level:
        """Return the level that step `index` leaves a latent for: the next step's, at the end clean."""
        return self.levels[index + 1] if index + 1 < self.steps else CLEAN


def build_schedule(
    diffusion: Diffusion,
    steps: int,
    grid: Grid,
    spacing: str = "leading",
    curve: str = "model",
    timesteps: Sequence[float] | None = None,
) -> Schedule:
    """Return the schedule of `steps` steps. `timesteps`, if given, are taken as they are; `steps` is their number."""
    known(tr("timestep spacing"), spacing, SPACINGS)
    known(tr("sigma curve"), curve, CURVES)
    if timesteps is not None:
        steps = len(timesteps)
    if steps < 1:
        raise UsageError(tr("{steps} steps make no picture", steps=steps), hint=tr("use at least 1"))
    if steps > diffusion.train_steps:
        raise UsageError(
            tr(
                "{steps} steps are more than the {train_steps} the network was trained on",
                steps=steps,
                train_steps=diffusion.train_steps,
            )
        )
    if grid in (Grid.WHOLE, Grid.DISTILLED):
        if curve != "model":
            raise UsageError(tr("this sampler takes no sigma curve, and {curve!r} was asked for", curve=curve))
        return _from_table(diffusion, steps, grid, spacing, timesteps)
    return _from_ratios(diffusion, steps, grid, spacing, curve, timesteps)


def _from_table(diffusion: Diffusion, steps: int, grid: Grid, spacing: str, chosen: Sequence[float] | None) -> Schedule:
    """Levels read straight from the table of signal, at whole timesteps."""
    if chosen is not None:
        whole = _checked(np.array(chosen, float), diffusion)
        if np.any(whole != whole.round()):
            raise UsageError(tr("this sampler takes whole timesteps only"))
    elif grid is Grid.DISTILLED:
        whole = _distilled(diffusion, steps)
    else:
        whole = _checked(_spaced(diffusion, steps, spacing), diffusion)
    times = [int(t) for t in whole]
    levels = [level_at(diffusion, t) for t in times]
    if grid is Grid.WHOLE and chosen is None:
        stride = diffusion.train_steps // steps
        last = CLEAN if diffusion.set_alpha_to_one else level_at(diffusion, 0)
        targets = [level_at(diffusion, t - stride) if t >= stride else last for t in times]
    else:
        # TCD aims at timestep 0 and LCM at the clean latent; neither looks at the last target.
        targets = [*levels[1:], CLEAN]
    return Schedule(diffusion, tuple(levels), tuple(targets), start_scale=1.0)


def level_at(diffusion: Diffusion, timestep: int) -> Level:
    """Return the level of a trained timestep; its alpha may be zero."""
    signal = float(signal_table(diffusion)[timestep])
    return Level(float(timestep), math.sqrt(signal), math.sqrt(1.0 - signal))


def _distilled(diffusion: Diffusion, steps: int) -> Floats:
    """Luo et al. 2023 (LCM): `steps` of the `distilled_steps` timesteps, evenly by index, noisiest first."""
    count = diffusion.distilled_steps
    if not 1 <= count <= diffusion.train_steps:
        raise UsageError(
            tr(
                "{count} distilled steps do not fit {train_steps} training steps",
                count=count,
                train_steps=diffusion.train_steps,
            )
        )
    if steps > count:
        raise UsageError(
            tr("{steps} steps are more than the {count} the network was distilled on", steps=steps, count=count)
        )
    stride = diffusion.train_steps // count
    grid = np.arange(count, 0, -1) * stride - 1
    chosen: Floats = grid[np.floor(np.arange(steps) * (count / steps)).astype(int)].astype(float)
    return chosen


def _from_ratios(
    diffusion: Diffusion, steps: int, grid: Grid, spacing: str, curve: str, chosen: Sequence[float] | None
) -> Schedule:
    """Levels by noise-to-signal ratio, interpolated between trained timesteps."""
    signal = signal_table(diffusion, LEAST_SIGNAL)
    trained = np.sqrt((1 - signal) / signal)
    if chosen is not None:
        times = _checked(np.array(chosen, float), diffusion)
    elif curve == "sgm_uniform":
        # Generative-models' and the web UIs' spacing: even over all training, one step more, without the last.
        times = np.linspace(diffusion.train_steps - 1, 0, steps + 1)[:-1]
    elif grid is Grid.REAL:
        times = _spaced(diffusion, steps, spacing, whole=False)
    else:
        times = _spaced(diffusion, steps, spacing, extra=1)
    times = _checked(times, diffusion)
    ratios = np.interp(times, np.arange(len(trained)), trained)
    if curve in ("karras", "exponential"):
        ends = (ratios[0], ratios[-1]) if grid is Grid.REAL else (trained[-1], trained[0])
        ratios = _karras(*ends, steps) if curve == "karras" else np.geomspace(*ends, steps)
        # The table's logarithm is rounded to float32 as in diffusers: the floor below hangs on it at the first step.
        trained_logs = np.log(trained.astype(np.float32))
        times = np.interp(np.log(ratios), trained_logs, np.arange(len(trained)))
        if grid is Grid.INNER:
            # Diffusers' own inconsistency, kept so that pictures match: nearest for Karras, down for exponential.
            times = times.round() if curve == "karras" else np.floor(times)
    levels = [_level_of(float(time), float(ratio)) for time, ratio in zip(times, ratios, strict=True)]
    # k-diffusion starts from noise times ratio where the first timestep is the last trained one.
    from_all_noise = grid is Grid.REAL and (spacing != "leading" or curve == "sgm_uniform")
    scale = levels[0].sigma if from_all_noise else 1.0
    return Schedule(diffusion, tuple(levels), (*levels[1:], CLEAN), start_scale=scale)


def _level_of(timestep: float, ratio: float) -> Level:
    alpha = 1.0 / math.sqrt(1.0 + ratio * ratio)
    return Level(timestep, alpha, ratio * alpha)


def _karras(most: float, least: float, steps: int, rho: float = 7.0) -> Floats:
    """Karras et al. 2022, equation 5."""
    ramp = np.linspace(0, 1, steps)
    ratios: Floats = (most ** (1 / rho) + ramp * (least ** (1 / rho) - most ** (1 / rho))) ** rho
    return ratios


def _spaced(diffusion: Diffusion, steps: int, spacing: str, whole: bool = True, extra: int = 0) -> Floats:
    """Return `steps` timesteps, noisiest first. `extra`: space for so many more, and leave out the last ones."""
    last = diffusion.train_steps - 1
    if spacing == "trailing":
        # arange, for halves are rounded by its last bit in diffusers; its length may be one too many.
        times = np.arange(diffusion.train_steps, 0, -diffusion.train_steps / steps)[:steps].round() - 1
    elif spacing == "leading":
        stride = diffusion.train_steps // (steps + extra)
        times = (np.arange(steps + extra) * stride)[::-1][:steps] + float(diffusion.steps_offset)
    else:
        times = np.linspace(0, last, steps + extra)[::-1][:steps]
        times = times.round() if whole else times.astype(np.float32).astype(np.float64)
    return times


def _checked(times: Floats, diffusion: Diffusion) -> Floats:
    """Refuse timesteps that repeat, rise or were never trained on."""
    if np.any(np.diff(times) >= 0):
        raise UsageError(
            tr("{count} timesteps do not all fall", count=len(times)), hint=tr("use fewer steps, or another spacing")
        )
    if times[0] > diffusion.train_steps - 1 or times[-1] < 0:
        raise UsageError(
            tr(
                "timesteps from {times:g} to {times2:g} leave the trained 0 to {train_steps}",
                times=times[0],
                times2=times[-1],
                train_steps=diffusion.train_steps - 1,
            ),
            hint=tr("use fewer steps, or another spacing"),
        )
    return times
