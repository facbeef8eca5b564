"""Operations that a picture can do without: what was asked for, settled, and how often each network then runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nutshell.language import Text, tr
from nutshell.networks.unet import Thrift
from nutshell.networks.unet_config import UNetConfig
from nutshell.pipeline.request import Request
from nutshell.sampling import Run
from nutshell.sampling.guidance import within

# Of so few steps each makes much of the picture: there is nothing to take over from the one before.
FEW_STEPS = 4
_EVERYWHERE = (0.0, 1.0)

# What --fast turns on where it pays.
_FAST_REUSE = 3
# The last steps paint details that guidance hardly changes (Kynkäänniemi et al. 2024, arXiv:2404.07724).
_FAST_INTERVAL = (0.0, 0.75)
# Below, attention is a small part of a pass.
_MANY_TOKENS = 1024


@dataclass(frozen=True)
class Savings:
    """What is left out. Off by default, and then the picture is the very same as without.

    reuse: run the whole network at every so many evaluations, and only its outermost `reuse_depth` layers between
    (1: always all of it). merge: share of the tokens merged in self-attention of the finest level that has it.
    fewer_keys: keys and values there from 2x2 cells. guidance_interval: where guidance takes its second pass.
    int8_attention: queries and keys in eight bits.
    """

    reuse: int = 1
    reuse_depth: int = 1
    merge: float = 0.0
    fewer_keys: bool = False
    guidance_interval: tuple[float, float] = _EVERYWHERE
    int8_attention: bool = False

    @property
    def thrift(self) -> Thrift:
        """What the denoiser itself leaves out."""
        outer = self.reuse_depth if self.reuse > 1 else 0
        return Thrift(self.merge, self.fewer_keys, outer, self.int8_attention)

    @property
    def even(self) -> bool:
        """Whether every step takes as long as the others."""
        return self.reuse == 1 and self.guidance_interval == _EVERYWHERE

    def parameters(self) -> dict[str, Any]:
        """What a picture must say of it to be drawn again."""
        reuse = {"reuse": self.reuse, "reuse_depth": self.reuse_depth} if self.reuse > 1 else {}
        given = {
            "merge": self.merge or None,
            "fewer_keys": self.fewer_keys or None,
            "int8_attention": self.int8_attention or None,
            "guidance_interval": None if self.guidance_interval == _EVERYWHERE else self.guidance_interval,
        }
        return {**reuse, **{key: value for key, value in given.items() if value is not None}}


def settle_savings(
    request: Request, config: UNetConfig, cells: int, steps: int, guided: bool
) -> tuple[Savings, tuple[Text, ...]]:
    """What a request leaves out, and sentences about wishes that have no effect.

    cells: of the latent, height times width. steps: that will run. guided: whether guidance takes a second pass.
    """
    tokens = _tokens(config, cells)
    fast = _fast_set(steps, guided, tokens) if request.fast else Savings()
    wanted = Savings(
        reuse=fast.reuse if request.reuse is None else request.reuse,
        reuse_depth=min(request.reuse_depth, config.layers[0] + 1),
        merge=fast.merge if request.merge is None else request.merge,
        fewer_keys=fast.fewer_keys if request.fewer_keys is None else request.fewer_keys,
        guidance_interval=request.guidance_interval or fast.guidance_interval,
        int8_attention=request.int8_attention,
    )
    notices: list[Text] = []
    if wanted.reuse > 1 and steps <= FEW_STEPS:
        notices.append(
            tr("nothing is reused between steps: with {steps} of them each must run the whole network", steps=steps)
        )
        wanted = replace(wanted, reuse=1)
    if request.fast and wanted == Savings(reuse_depth=wanted.reuse_depth, int8_attention=wanted.int8_attention):
        notices.append(tr("--fast leaves nothing out: this model is quick already at this size and number of steps"))
    if (wanted.merge or wanted.fewer_keys) and tokens is None:
        notices.append(
            tr("merging tokens and taking fewer keys have no effect: this model has no attention to save at")
        )
    return wanted, tuple(notices)


def _tokens(config: UNetConfig, cells: int) -> int | None:
    level = config.finest_attention
    return None if level is None else cells >> 2 * level


def _fast_set(steps: int, guided: bool, tokens: int | None) -> Savings:
    return Savings(
        reuse=_FAST_REUSE if steps > FEW_STEPS else 1,
        fewer_keys=(tokens or 0) >= _MANY_TOKENS,
        guidance_interval=_FAST_INTERVAL if guided and steps > FEW_STEPS else _EVERYWHERE,
    )


@dataclass(frozen=True)
class Passes:
    """How often the denoiser runs for one picture: all of it, and its outermost layers alone."""

    whole: int
    outer: int = 0


def count_passes(run: Run, savings: Savings, guided: bool) -> Passes:
    """Both passes of guidance counted, as `Denoiser` and `guided` will run them."""
    whole = outer = 0
    begun = False
    for place in range(run.model_calls):
        # Samplers of several evaluations a step ask again near the step's own level.
        timestep = run.schedule.timesteps[min(place * run.steps // run.model_calls, run.steps - 1)]
        all_of_it = place % savings.reuse == 0
        whole, outer = (whole + 1, outer) if all_of_it else (whole, outer + 1)
        if guided and within(savings.guidance_interval, timestep, run.schedule.diffusion.train_steps):
            whole, outer = (whole + 1, outer) if all_of_it or not begun else (whole, outer + 1)
            begun = True
    return Passes(whole, outer)
