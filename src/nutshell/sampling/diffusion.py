"""How a network was trained to see noise: `Diffusion`, and the table of signal that follows from it.

Training mixes a clean latent x0 with unit noise e at timestep t (0 = least noise):

    x_t = sqrt(signal[t]) * x0 + sqrt(1 - signal[t]) * e        (Ho et al. 2020, equation 4)

`signal` is what papers call alpha-bar and diffusers `alphas_cumprod`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.errors import UsageError
from nutshell.language import Text, tr

PREDICTIONS = ("epsilon", "v_prediction", "sample")
SPACINGS = ("leading", "trailing", "linspace")
CURVES = ("model", "karras", "exponential", "sgm_uniform")

# The least signal that samplers in noise-to-signal ratio may meet, for at zero that ratio is infinite.
# Diffusers' choice, so that pictures match.
LEAST_SIGNAL = 2.0**-24


@dataclass(frozen=True)
class Diffusion:
    """The facts of one network's training. The defaults are those of Stable Diffusion 1.x.

    prediction: what the network returns: the noise ("epsilon"), v = alpha*e - sigma*x0 ("v_prediction",
        Salimans and Ho 2022), or the clean latent ("sample").
    zero_snr: shift the betas so that the last timestep holds no signal (Lin et al. 2023, algorithm 1).
    steps_offset: added to "leading" timesteps.
    set_alpha_to_one: the level after DDIM's last step is the clean latent, rather than timestep 0.
    trained_betas: a table that replaces `beta_start`, `beta_end` and `beta_schedule`.
    spacing, curve: what the model's authors ask for; None is the sampler's own habit.
    distilled_steps, timestep_scaling: the grid that LCM and TCD networks were distilled on, and LCM's
        boundary scaling.
    """

    train_steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: str = "scaled_linear"
    prediction: str = "epsilon"
    zero_snr: bool = False
    steps_offset: int = 1
    set_alpha_to_one: bool = False
    trained_betas: tuple[float, ...] | None = None
    spacing: str | None = None
    curve: str | None = None
    distilled_steps: int = 50
    timestep_scaling: float = 10.0

    def __post_init__(self) -> None:
        known(tr("prediction type"), self.prediction, PREDICTIONS)
        known(tr("beta schedule"), self.beta_schedule, tuple(_BETAS))
        if self.spacing is not None:
            known(tr("timestep spacing"), self.spacing, SPACINGS)
        if self.curve is not None:
            known(tr("sigma curve"), self.curve, CURVES)
        if self.train_steps < 2:
            raise UsageError(
                tr(
                    "a diffusion of {train_steps} training steps makes no sense: 2 is the least",
                    train_steps=self.train_steps,
                )
            )
        if self.trained_betas is not None and len(self.trained_betas) != self.train_steps:
            raise UsageError(
                tr(
                    "{count} trained betas do not fit {train_steps} training steps",
                    count=len(self.trained_betas),
                    train_steps=self.train_steps,
                )
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> Diffusion:
        """Read a diffusers `scheduler_config.json`; `None` is Stable Diffusion 1.x.

        Betas that are missing are those of Stable Diffusion; any other missing key is diffusers' default.
        `clip_sample` and `thresholding` are for networks that work on pixels, and are not read.
        """
        if config is None:
            return cls()
        present = {key: value for key, value in config.items() if value is not None}
        given = {name: present[key] for key, name in _CONFIG_KEYS.items() if key in present}
        betas = given.pop("trained_betas", None)
        if betas is not None:
            given["trained_betas"] = tuple(float(beta) for beta in betas)
            given.setdefault("train_steps", len(betas))
        given.setdefault("steps_offset", 0)
        given.setdefault("set_alpha_to_one", True)
        curves = [name for key, name in _CURVE_KEYS.items() if present.get(key)]
        return cls(**given, curve=curves[0] if curves else None)

    def replace(self, **changes: Any) -> Diffusion:
        """Return a copy with some facts changed, such as `prediction="v_prediction"` from a model card."""
        unknown = sorted(set(changes) - {field.name for field in fields(self)})
        if unknown:
            raise UsageError(tr("a diffusion has no {unknown}", unknown=", ".join(unknown)))
        return replace(self, **changes)


_CONFIG_KEYS = {
    "num_train_timesteps": "train_steps",
    "beta_start": "beta_start",
    "beta_end": "beta_end",
    "beta_schedule": "beta_schedule",
    "prediction_type": "prediction",
    "rescale_betas_zero_snr": "zero_snr",
    "steps_offset": "steps_offset",
    "set_alpha_to_one": "set_alpha_to_one",
    "trained_betas": "trained_betas",
    "timestep_spacing": "spacing",
    "original_inference_steps": "distilled_steps",
    "timestep_scaling": "timestep_scaling",
}
_CURVE_KEYS = {"use_karras_sigmas": "karras", "use_exponential_sigmas": "exponential"}


def known(what: Text, name: str, names: tuple[str, ...]) -> None:
    """Raise a UsageError that lists `names` unless `name` is one of them."""
    if name not in names:
        raise UsageError(
            tr("unknown {what} {name!r}", what=what, name=name), hint=tr("known: {names}", names=", ".join(names))
        )


@lru_cache(maxsize=16)
def signal_table(diffusion: Diffusion, least: float = 0.0) -> npt.NDArray[np.float64]:
    """Return signal[t] for t = 0 .. train_steps - 1, read-only; a zero at the end becomes `least`.

    Rounded to float32 where torch rounds, for networks were trained with (and are sampled from) that table.
    """
    if diffusion.trained_betas is not None:
        betas = np.array(diffusion.trained_betas, np.float32)
    else:
        betas = _BETAS[diffusion.beta_schedule](diffusion)
    if diffusion.zero_snr:
        betas = _without_terminal_signal(betas)
    signal = _running_product(betas).astype(np.float64)
    if diffusion.zero_snr:
        signal[-1] = least
    signal.setflags(write=False)
    return signal


Float32Array = npt.NDArray[np.float32]


def _linear(diffusion: Diffusion) -> Float32Array:
    return np.linspace(diffusion.beta_start, diffusion.beta_end, diffusion.train_steps).astype(np.float32)


def _scaled_linear(diffusion: Diffusion) -> Float32Array:
    """Linear in sqrt(beta): Rombach et al. 2022, in their code only."""
    start, end = math.sqrt(diffusion.beta_start), math.sqrt(diffusion.beta_end)
    roots: Float32Array = np.linspace(start, end, diffusion.train_steps).astype(np.float32)
    return roots * roots


def _squared_cosine(diffusion: Diffusion) -> Float32Array:
    """Nichol and Dhariwal 2021, equation 17, betas capped at 0.999."""
    t = np.arange(diffusion.train_steps + 1) / diffusion.train_steps
    signal = np.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    betas: Float32Array = np.minimum(1 - signal[1:] / signal[:-1], 0.999).astype(np.float32)
    return betas


_BETAS: dict[str, Callable[[Diffusion], Float32Array]] = {
    "linear": _linear,
    "scaled_linear": _scaled_linear,
    "squaredcos_cap_v2": _squared_cosine,
}


def _without_terminal_signal(betas: Float32Array) -> Float32Array:
    """Shift and scale sqrt(signal) so that it ends at zero and starts as before (Lin et al. 2023, algorithm 1)."""
    root = np.sqrt(_running_product(betas))
    first, last = root[0], root[-1]
    signal = np.square((root - last) * (first / (first - last)))
    ratios = np.concatenate([signal[:1], signal[1:] / signal[:-1]])
    return np.float32(1.0) - ratios


def _running_product(betas: Float32Array) -> Float32Array:
    """Return the running product of 1 - beta. Torch multiplies in double and rounds each result."""
    return np.cumprod((np.float32(1.0) - betas).astype(np.float64)).astype(np.float32)
