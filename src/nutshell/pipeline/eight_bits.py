"""Eight bits for one model on one machine: the scales of its card that the budget allows, put around its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nutshell.errors import NutshellError, UnsupportedModel
from nutshell.language import Text, tr
from nutshell.machine import Cpu
from nutshell.networks.ops import Network
from nutshell.plan import Plan, arithmetic
from nutshell.plan.memory import QUANTIZED_AT_ONCE
from nutshell.plan.need import NO_SCALES
from nutshell.quantization import (
    FULL_WEIGHT,
    SAFE_WEIGHT,
    AttentionScales,
    CalibrationCard,
    Migrations,
    Scales,
    quantized,
    with_int8_attention,
    with_int8_linears,
)
from nutshell.weights import Part

# The denoiser's outermost layers, run by themselves, are layers of the denoiser.
_SAME_LAYERS = {"unet_outer": "unet"}

# The engine that multiplies queries and keys in eight bits, read from its executed graphs (record 25).
_ATTENDS = "openvino"
_ATTENDS_NOT_IN = "f16"
_NO_ATTENTION_SCALES = tr(
    "attention stays as it is: eight bits there need a calibration card made by this version (nutshell calibrate)"
)
_NO_QUICK_ATTENTION = tr("attention stays as it is: this processor multiplies eight bits no faster")

_ADDS_UP = {"avx512_vnni", "avx_vnni", "amx_int8"}


@dataclass(frozen=True)
class EightBits:
    """scales, migrations, attention: by part. ready: whether there are scales that are good enough; else, why not.
    beside: what is computed in where eight bits are not, so that the budget holds. plain_scales: as
    `scales`, for an engine that lacks `beside` and computes in float32 there. no_attention_scales: why `attention` is
    empty. problem: with the card."""

    scales: Mapping[str, Scales] = field(default_factory=dict)
    largest_weight: int = SAFE_WEIGHT
    ready: bool = False
    why_not: Text = NO_SCALES
    problem: NutshellError | None = None
    migrations: Mapping[str, Migrations] = field(default_factory=dict)
    attention: Mapping[str, AttentionScales] = field(default_factory=dict)
    beside: str = "f32"
    plain_scales: Mapping[str, Scales] = field(default_factory=dict)
    no_attention_scales: Text = _NO_ATTENTION_SCALES

    def applied(self, network: Network, plan: Plan, part: Part, precisions: Sequence[str]) -> Network:
        """The network as a plan runs it in an engine of these precisions. A part without scales computes as it would
        beside them."""
        precision, name = plan.precision, _SAME_LAYERS.get(network.part, network.part)
        if network.int8_attention and self.no_attention(plan) is None:
            network = with_int8_attention(network, self.attention[name])
        if precision == "int8_weights":
            return with_int8_linears(network, _releasing(part))
        scales = (self.scales if self.beside in precisions else self.plain_scales).get(name)
        if precision != "int8" or not scales:
            return network
        return quantized(network, scales, self.largest_weight, _releasing(part), self.migrations.get(name, {}))

    def no_attention(self, plan: Plan) -> Text | None:
        """Why a plan leaves attention as it is though eight bits were asked for; None where it does not."""
        beside = self.beside if plan.precision == "int8" else plan.precision
        if plan.engine != _ATTENDS or beside == _ATTENDS_NOT_IN:
            return tr(
                "attention stays as it is: {engine} has it in no eight bits that would save time", engine=plan.engine
            )
        if not self.attention.get("unet"):
            return self.no_attention_scales
        return None

    def arithmetic(self, precision: str, precisions: Sequence[str]) -> str:
        """What an engine of these precisions computes in where eight bits are not, in a plan of `precision`."""
        if precision != "int8":
            return arithmetic(precision, precisions)
        return self.beside if self.beside in precisions else "f32"


def eight_bits(
    card: CalibrationCard | None, budget: float, cpu: Cpu, problem: NutshellError | None, halves: Sequence[str] = ()
) -> EightBits:
    """What a card allows within a budget, as `kept_layers` takes it. problem: with a card that lay there. halves: half
    precisions that this machine computes in, best first."""
    if card is None:
        return EightBits(why_not=problem.message if problem else NO_SCALES, problem=problem)
    around = attention_of(card, cpu)
    allowed = card.allowed(budget, halves)
    if allowed is None:
        best = f"{card.best_db:.1f}"
        why = tr("eight bits come no nearer to float32 than {best} dB, and --int8-budget asks for more", best=best)
        problem = UnsupportedModel(why, tr("allow more: --int8-budget=-1dB"))
        return EightBits(why_not=why, problem=problem, **around)
    plain = card.allowed(budget) or allowed
    return EightBits(
        card.without(allowed.kept),
        largest_weight(cpu),
        True,
        migrations={name: part.migrations for name, part in card.parts.items()},
        beside=allowed.beside,
        plain_scales=card.without(plain.kept),
        **around,
    )


def attention_of(card: CalibrationCard | None, cpu: Cpu) -> dict[str, Any]:
    """The fields of `EightBits` about attention, which needs no budget: it is asked for by name."""
    if card is None:
        return {}
    if not _ADDS_UP & cpu.features:
        return {"no_attention_scales": _NO_QUICK_ATTENTION}
    return {"attention": {name: part.attention for name, part in card.parts.items()}}


def largest_weight(cpu: Cpu) -> int:
    """The largest weight with which this processor adds up rightly; the safe one where nothing tells."""
    if cpu.architecture in ("x86_64", "i686", "") and not _ADDS_UP & cpu.features:
        return SAFE_WEIGHT
    return FULL_WEIGHT


def _releasing(part: Part) -> Callable[[int], None]:
    """Drops the file's pages from memory now and then, so that quantizing never holds all of it."""
    read = 0

    def after(count: int) -> None:
        nonlocal read
        read += count
        if read >= QUANTIZED_AT_ONCE:
            read = 0
            part.release()

    return after
