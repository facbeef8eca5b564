"""A plan's sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nutshell.plan.candidates import Candidate


def megabytes(count: int) -> str:
    """`850 MB`, `3.4 GB`."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def seconds_words(seconds: float) -> str:
    """`0.03 s`, `2.1 s`, `45 s`, `12 min`, `3.4 h`."""
    if seconds < 0.95:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def reasons_of(
    chosen: Candidate, others: Sequence[Candidate], ceiling: int, max_memory: int | None, guessed: bool
) -> tuple[str, ...]:
    """Why this way: the engine, the precision, the mode, and where the figures come from."""
    allowed = "as --max-memory says" if max_memory is not None else "85% of what is free"
    together = megabytes(chosen.memory.need_bytes)
    rival = any(each.offer.engine != chosen.offer.engine for each in others)
    return (
        f"{chosen.offer.words} on {chosen.offer.title}: "
        + ("the fastest of the engines that are here and fit" if rival else "the engine that is here and fits"),
        f"{chosen.precision}: "
        + (
            "the fastest precision that fits"
            if len({each.precision for each in others if each.offer is chosen.offer}) > 1
            else "the precision that it has here"
        ),
        (
            "one stage at a time: all together would not fit"
            if chosen.staged
            else "all stages stay loaded: the next picture finds them"
        )
        + f"; about {together} at the peak, {megabytes(ceiling)} allowed ({allowed})",
        "times are a guess from the machine's description: nutshell bench --quick measures it"
        if guessed
        else "times rest on what nutshell bench --quick measured here",
    )


def ceiling_words(need: int, max_memory: int | None, usable: int) -> str:
    """What would make it fit. Megabytes rounded up, so that following the hint is enough."""
    enough = math.ceil(need / 1e6)
    if max_memory is not None and need <= usable:
        return f"allow it with --max-memory {enough}M, or ask for a smaller size or model"
    if need <= usable:
        return f"85% of what is free is used unless you allow more: --max-memory {enough}M"
    return "close other programs, or ask for a smaller size or model"
