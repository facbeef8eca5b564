"""Every way to draw a picture here, and what each would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nutshell.language import Text, tr
from nutshell.plan.learn import Ratio, Ratios, ratio_key
from nutshell.plan.memory import Memory, peak_memory
from nutshell.plan.need import Need
from nutshell.plan.offers import Offer, Rejected
from nutshell.plan.rates import Rates
from nutshell.plan.seconds import Seconds, predicted_seconds


@dataclass(frozen=True)
class Candidate:
    """One way to run: an engine on a device, in a precision, stages resident or one at a time, whole or in strips.

    memory, seconds: predicted, with `ratio`, what runs have taught, in them; key: under which it is kept.
    """

    offer: Offer
    precision: str
    staged: bool
    memory: Memory
    seconds: Seconds
    key: str
    ratio: Ratio
    strips: bool = False

    @property
    def words(self) -> Text:
        return tr("{way}, the autoencoder in strips", way=self._way) if self.strips else self._way

    @property
    def _way(self) -> Text:
        if self.staged:
            return tr("{engine}, {precision}, one stage at a time", engine=self.offer.words, precision=self.precision)
        return tr("{engine}, {precision}, all stages loaded", engine=self.offer.words, precision=self.precision)


def every_way(
    offers: Sequence[Offer],
    need: Need,
    rates: Rates,
    precision: str | None,
    held_bytes: int,
    ratios: Ratios,
    rejected: list[Rejected],
) -> list[Candidate]:
    """Every engine, device, precision and mode, fitting or not. What cannot be asked for goes into `rejected`."""
    taught, slower = _taught(offers, need, ratios)
    return [
        each for offer in offers for each in _ways(offer, need, rates, precision, held_bytes, taught, slower, rejected)
    ]


def _taught(offers: Sequence[Offer], need: Need, ratios: Ratios) -> tuple[dict[str, Ratio], dict[str, float]]:
    """The ratios of every way by key, and of every device: a machine that was slower than expected with one engine
    will be so with another, which must not look better for never having been tried."""
    taught: dict[str, Ratio] = {}
    slower: dict[str, float] = {}
    for offer in offers if need.model else ():
        for name in offer.precisions:
            for strips in _cuts(offer, need):
                key = _key(need, offer, name, strips)
                found = ratios.found(key)
                if found is not None:
                    taught[key] = found
                    slower[offer.device] = max(found.seconds, slower.get(offer.device, 0.0))
    return taught, slower


def _ways(
    offer: Offer,
    need: Need,
    rates: Rates,
    precision: str | None,
    held_bytes: int,
    taught: Mapping[str, Ratio],
    slower: Mapping[str, float],
    rejected: list[Rejected],
) -> Iterator[Candidate]:
    """Every precision and mode of one offer. taught: by key, what runs of this model at this size have taught;
    slower: by device, what they have taught of it as a whole."""
    for name in offer.precisions:
        if precision not in (None, name):
            rejected.append(Rejected(_way(offer, name), tr("{precision} was asked for", precision=precision)))
            continue
        if name == "int8" and not need.eight_bits:
            rejected.append(Rejected(_way(offer, name), need.no_eight_bits))
            continue
        for strips in _cuts(offer, need):
            key = _key(need, offer, name, strips)
            ratio = taught.get(key) or Ratio(seconds=slower.get(offer.device, 1.0))
            stages = tuple(stage.in_strips for stage in need.stages) if strips else need.stages
            speed = predicted_seconds(stages, need.steps, offer, name, offer.rates or rates, rates)
            seconds = Seconds(
                speed.load, speed.step * ratio.seconds, speed.load + (speed.total - speed.load) * ratio.seconds
            )
            for staged in (True,) if offer.staged_only else (False, True):
                memory = peak_memory(stages, offer, name, staged, held_bytes)
                memory = replace(memory, need_bytes=int(memory.need_bytes * ratio.memory))
                yield Candidate(offer, name, staged, memory, seconds, key, ratio, strips)


def _cuts(offer: Offer, need: Need) -> tuple[bool, ...]:
    """Whole, and strip by strip too where that may be what memory asks for: weights in place are there for no else."""
    return (False, True) if offer.lean and any(stage.strip_bytes for stage in need.stages) else (False,)


def _key(need: Need, offer: Offer, precision: str, strips: bool) -> str:
    return ratio_key(need.model, f"{offer.words}{' strips' if strips else ''}", precision, need.size_class)


def _way(offer: Offer, precision: str) -> Text:
    return tr("{engine}, {precision}", engine=offer.words, precision=precision)
