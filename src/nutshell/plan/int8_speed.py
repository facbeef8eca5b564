"""Whether eight bits are for speed or for memory on a processor, and how a plan says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nutshell.language import Text, tr
from nutshell.machine import Cpu
from nutshell.plan.candidates import Candidate
from nutshell.plan.instruction_sets import ARM, Times, int8_times, set_class
from nutshell.plan.rates import Rates

# Less is no gain, or no loss, that a person would notice.
_NOTICED = 1.05


@dataclass(frozen=True)
class SlowInt8:
    """The ways in eight bits that are for memory only: taken where nothing else fits. reason: what is said of them."""

    candidates: tuple[Candidate, ...]
    reason: Text

    @staticmethod
    def of(cpu: Cpu, every: Sequence[Candidate], rates: Rates) -> SlowInt8:
        """Those on a processor that has no instruction to multiply and add up eight bits (VNNI, AMX).

        There are none where `rates` were measured on the machine itself: these then tell what is faster.
        """
        found = set_class(cpu)
        if found is None or found.adds_up or not rates.guessed:
            return SlowInt8((), Text(""))
        return SlowInt8(
            tuple(each for each in every if each.precision == "int8" and not each.offer.on_card),
            tr("this processor has {sets}, on which eight bits are for want of memory only", sets=found.title),
        )

    def without(self, fits: Sequence[Candidate]) -> Sequence[Candidate]:
        """`fits` less these, unless nothing would be left."""
        return [each for each in fits if each not in self.candidates] or fits


def int8_reasons(cpu: Cpu, chosen: Candidate, every: Sequence[Candidate], guessed: bool) -> tuple[Text, ...]:
    """What a plan on the processor says of eight bits where they could be had, and of ARM, which nobody measured."""
    found = set_class(cpu)
    if found is None or chosen.offer.on_card or not guessed:
        return ()
    if found is ARM:
        return (tr("on ARM engine and precision are chosen by what is documented: nothing was measured there yet"),)
    known = int8_times(cpu, chosen.offer.engine)
    if known is None or not any(each.precision == "int8" and each.offer.engine == known.engine for each in every):
        return ()
    return (_sentence(known, found.title, chosen.precision == "int8"),)


def _sentence(known: Times, sets: Text, taken: bool) -> Text:
    values = {"sets": sets, "times": f"{known.times:.1f}", "percent": f"{100 * known.times:.0f}"}
    if known.basis != "measured":
        if taken:
            return tr("int8 on a processor that has {sets}: how fast that is was not measured yet", **values)
        return tr("int8 was not measured yet on a processor that has {sets}", **values)
    if known.times >= _NOTICED:
        if taken:
            return tr("int8 takes {times} times as long as f32 on this processor, which has {sets}", **values)
        return tr("int8 would take {times} times as long as f32 on this processor, which has {sets}", **values)
    if not taken:
        return tr("int8 would take {percent}% of the time of f32 on this processor, which has {sets}", **values)
    if known.times * _NOTICED > 1:
        return tr("int8 takes about as long as f32 on this processor, which has {sets}", **values)
    return tr("int8 takes {percent}% of the time of f32 on this processor, which has {sets}", **values)
