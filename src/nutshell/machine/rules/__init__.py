"""What is wrong with a machine and how to mend it: small rules over what was found out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nutshell.machine.examination import Examination
from nutshell.machine.rules import cards, disks, engines, memory, processor
from nutshell.machine.rules.finding import SEVERITIES, Finding, Severity

Rule = Callable[[Examination], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    *(processor.instruction_sets, processor.python, engines.engines),
    *(memory.free_memory, memory.limited_memory, memory.full_swap, memory.root_in_ram),
    *(disks.models_folder, disks.temporary_folder),
    *(processor.clock, engines.hubs, cards.drivers, cards.capability, processor.governor),
    *(cards.half_precision, cards.use),
)

__all__ = ["RULES", "Finding", "Rule", "Severity", "findings"]


def findings(examination: Examination) -> tuple[Finding, ...]:
    """All findings, worst first, and among equals in the order of the rules."""
    found: Iterator[Finding] = (finding for rule in RULES for finding in rule(examination))
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))
