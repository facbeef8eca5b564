"""The one table of samplers, and the names that people and files call them by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.sampling.consistency import lcm, tcd
from nutshell.sampling.ddim import ddim
from nutshell.sampling.dpmpp import dpmpp_2m, dpmpp_2m_sde
from nutshell.sampling.euler import euler, euler_ancestral
from nutshell.sampling.heun import heun
from nutshell.sampling.lms import lms
from nutshell.sampling.plms import plms
from nutshell.sampling.schedule import Grid
from nutshell.sampling.step import SampleStep
from nutshell.sampling.unipc import unipc

# (predict, latent, schedule, noise, blend, and eta for those that have one) -> steps.
Sample = Callable[..., Iterator[SampleStep]]


@dataclass(frozen=True)
class Sampler:
    """One row of the table.

    title: the name to show; aliases: class names of diffusers, and names of web UIs and k-diffusion.
    spacing: the timestep spacing unless the model or the caller asks for one (diffusers' default).
    stochastic: draws noise while it runs (DDIM only with eta above 0).
    calls_per_step, extra_calls: network calls of a run are steps * calls_per_step + extra_calls, of one step 1.
    eta: the default share of fresh noise, None for samplers that have no such choice.
    """

    name: str
    title: str
    sample: Sample
    grid: Grid
    aliases: tuple[str, ...]
    spacing: str = "linspace"
    stochastic: bool = False
    calls_per_step: int = 1
    extra_calls: int = 0
    eta: float | None = None

    @property
    def takes_curve(self) -> bool:
        return self.grid in (Grid.REAL, Grid.INNER)

    @property
    def takes_spacing(self) -> bool:
        return self.grid is not Grid.DISTILLED


SAMPLERS: tuple[Sampler, ...] = (
    Sampler("ddim", "DDIM", ddim, Grid.WHOLE, ("DDIMScheduler",), spacing="leading", eta=0.0),
    Sampler("plms", "PLMS", plms, Grid.WHOLE, ("PNDMScheduler", "PNDM"), spacing="leading", extra_calls=1),
    Sampler("euler", "Euler", euler, Grid.REAL, ("EulerDiscreteScheduler", "k_euler")),
    Sampler(
        "euler_ancestral",
        "Euler a",
        euler_ancestral,
        Grid.REAL,
        ("EulerAncestralDiscreteScheduler", "k_euler_a", "euler_a", "Euler ancestral"),
        stochastic=True,
    ),
    Sampler("heun", "Heun", heun, Grid.REAL, ("HeunDiscreteScheduler", "k_heun"), calls_per_step=2, extra_calls=-1),
    Sampler("lms", "LMS", lms, Grid.REAL, ("LMSDiscreteScheduler", "k_lms")),
    Sampler(
        "dpmpp_2m",
        "DPM++ 2M",
        dpmpp_2m,
        Grid.INNER,
        ("DPMSolverMultistepScheduler", "DPMSolverMultistepScheduler:dpmsolver++", "k_dpmpp_2m"),
    ),
    Sampler(
        "dpmpp_2m_sde",
        "DPM++ 2M SDE",
        dpmpp_2m_sde,
        Grid.INNER,
        ("DPMSolverMultistepScheduler:sde-dpmsolver++", "k_dpmpp_2m_sde"),
        stochastic=True,
    ),
    Sampler("unipc", "UniPC", unipc, Grid.INNER, ("UniPCMultistepScheduler", "uni_pc")),
    Sampler("lcm", "LCM", lcm, Grid.DISTILLED, ("LCMScheduler",), stochastic=True),
    Sampler("tcd", "TCD", tcd, Grid.DISTILLED, ("TCDScheduler",), stochastic=True, eta=0.3),
)

# The web UIs' habit of naming the curve after the sampler: "DPM++ 2M Karras".
_CURVE_SUFFIXES = {" karras": "karras", " exponential": "exponential", " sgm uniform": "sgm_uniform"}


def find_sampler(name: str) -> tuple[Sampler, str | None]:
    """Return the sampler of that name, alias or title, and the curve that the name asks for, if any.

    Case, and whether words are joined by spaces, hyphens or underscores, do not matter.
    """
    wanted = _plain(name)
    curve = None
    for suffix, suffix_curve in _CURVE_SUFFIXES.items():
        if wanted.endswith(suffix):
            wanted, curve = wanted.removesuffix(suffix), suffix_curve
    sampler = _BY_NAME.get(wanted)
    if sampler is None:
        raise UsageError(
            tr("unknown sampler {name!r}", name=name),
            hint=tr("known: {samplers}", samplers=", ".join(row.name for row in SAMPLERS)),
            field="sampler",
        )
    if curve and not sampler.takes_curve:
        raise UsageError(
            tr(
                "{title} takes no sigma curve, and {name!r} asks for {curve!r}",
                title=sampler.title,
                name=name,
                curve=curve,
            )
        )
    return sampler, curve


def sampler_of_config(config: Mapping[str, Any]) -> Sampler:
    """Return the sampler that a diffusers `scheduler_config.json` names by its class and `algorithm_type`."""
    name = str(config.get("_class_name"))
    kind = config.get("algorithm_type")
    return find_sampler(f"{name}:{kind}" if kind and name == "DPMSolverMultistepScheduler" else name)[0]


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


_BY_NAME = {_plain(name): row for row in SAMPLERS for name in (row.name, row.title, *row.aliases)}
