"""Eight bits for one model on one machine: the scales of its card that the budget allows, put around its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nutshell.errors import NutshellError, UnsupportedModel
from nutshell.language import Text, tr
from nutshell.machine import Cpu
from nutshell.networks.ops import Network
from nutshell.plan.memory import QUANTIZED_AT_ONCE
from nutshell.plan.need import NO_SCALES
from nutshell.quantization import FULL_WEIGHT, SAFE_WEIGHT, CalibrationCard, Scales, quantized, with_int8_linears
from nutshell.weights import Part

# The denoiser's outermost layers, run by themselves, are layers of the denoiser.
_SAME_LAYERS = {"unet_outer": "unet"}

_ADDS_UP = {"avx512_vnni", "avx_vnni", "amx_int8"}


@dataclass(frozen=True)
class EightBits:
    """scales: by part. ready: whether there are any that are good enough; else, why not. problem: with the card."""

    scales: Mapping[str, Scales] = field(default_factory=dict)
    largest_weight: int = SAFE_WEIGHT
    ready: bool = False
    why_not: Text = NO_SCALES
    problem: NutshellError | None = None

    def applied(self, network: Network, precision: str, part: Part) -> Network:
        """The network as a plan of that precision runs it. A part without scales computes as it would beside them."""
        if precision == "int8_weights":
            return with_int8_linears(network, _releasing(part))
        scales = self.scales.get(_SAME_LAYERS.get(network.part, network.part))
        if precision != "int8" or not scales:
            return network
        return quantized(network, scales, self.largest_weight, _releasing(part))


def eight_bits(card: CalibrationCard | None, budget: float, cpu: Cpu, problem: NutshellError | None) -> EightBits:
    """What a card allows within a budget, as `kept_layers` takes it. problem: with a card that lay there."""
    if card is None:
        return EightBits(why_not=problem.message if problem else NO_SCALES, problem=problem)
    scales = card.within(budget)
    if scales is None:
        best = f"{card.best_db:.1f}"
        why = tr("eight bits come no nearer to float32 than {best} dB, and --int8-budget asks for more", best=best)
        return EightBits(why_not=why, problem=UnsupportedModel(why, tr("allow more: --int8-budget=-1dB")))
    return EightBits(scales, largest_weight(cpu), True)


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
