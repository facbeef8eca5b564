"""A plan's sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nutshell.language import Text, tr

if TYPE_CHECKING:
    from nutshell.plan.candidates import Candidate


def megabytes(count: int) -> str:
    """`850 MB`, `3.4 GB`."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def seconds_words(seconds: float) -> Text:
    """`0.03 s`, `2.1 s`, `45 s`, `12 min`, `3.4 h`."""
    if seconds < 0.95:
        return tr("{seconds:.2f} s", seconds=seconds)
    if seconds < 9.95:
        return tr("{seconds:.1f} s", seconds=seconds)
    if seconds < 99.5:
        return tr("{seconds:.0f} s", seconds=seconds)
    if seconds < 7200:
        return tr("{minutes:.0f} min", minutes=seconds / 60)
    return tr("{hours:.1f} h", hours=seconds / 3600)


def reasons_of(
    chosen: Candidate, others: Sequence[Candidate], ceiling: int, max_memory: int | None, guessed: bool
) -> tuple[Text, ...]:
    """Why this way: the engine, the precision, the mode, and where the figures come from."""
    return (
        _engine_reason(chosen, others),
        _precision_reason(chosen, others),
        _memory_reason(chosen, ceiling, max_memory),
        *_strips_reason(chosen),
        tr("times are a guess from the machine's description: nutshell bench --quick measures it")
        if guessed
        else tr("times rest on what nutshell bench --quick measured here"),
    )


def _engine_reason(chosen: Candidate, others: Sequence[Candidate]) -> Text:
    engine, device = chosen.offer.words, chosen.offer.title
    if any(each.offer.engine != chosen.offer.engine for each in others):
        return tr(
            "{engine} on {device}: the fastest of the engines that are here and fit", engine=engine, device=device
        )
    return tr("{engine} on {device}: the engine that is here and fits", engine=engine, device=device)


def _precision_reason(chosen: Candidate, others: Sequence[Candidate]) -> Text:
    if len({each.precision for each in others if each.offer is chosen.offer}) > 1:
        return tr("{precision}: the fastest precision that fits", precision=chosen.precision)
    return tr("{precision}: the precision that it has here", precision=chosen.precision)


def _memory_reason(chosen: Candidate, ceiling: int, max_memory: int | None) -> Text:
    values = {
        "peak": megabytes(chosen.memory.need_bytes),
        "ceiling": megabytes(ceiling),
        "rule": tr("as --max-memory says") if max_memory is not None else tr("85% of what is free"),
    }
    if chosen.staged:
        return tr(
            "one stage at a time: all together would not fit; about {peak} at the peak, {ceiling} allowed ({rule})",
            **values,
        )
    return tr(
        "all stages stay loaded: the next picture finds them; about {peak} at the peak, {ceiling} allowed ({rule})",
        **values,
    )


def _strips_reason(chosen: Candidate) -> tuple[Text, ...]:
    if not chosen.strips:
        return ()
    return (tr("the autoencoder in strips: in one piece it would not fit; the picture is the same, and takes longer"),)


def ceiling_words(need: int, max_memory: int | None, usable: int) -> Text:
    """What would make it fit. Megabytes rounded up, so that following the hint is enough."""
    enough = math.ceil(need / 1e6)
    if max_memory is not None and need <= usable:
        return tr("allow it with --max-memory {megabytes}M, or ask for a smaller size or model", megabytes=enough)
    if need <= usable:
        return tr(
            "85% of what is free is used unless you allow more: --max-memory {megabytes}M",
            megabytes=enough,
        )
    return tr("close other programs, or ask for a smaller size or model")
