"""A planner: what is known of the machine and what was asked for, kept together so that needs can be planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nutshell.errors import EngineUnavailable
from nutshell.language import Text, join, tr
from nutshell.machine import Disk, Machine
from nutshell.plan.installed import Installed
from nutshell.plan.learn import Ratios
from nutshell.plan.measured import kept_rates, rates_key
from nutshell.plan.need import Need
from nutshell.plan.offers import EIGHT_BITS, THE_PROCESSOR, Offer, Rejected, find_offers
from nutshell.plan.plan import Plan, default_ceiling, make_plan
from nutshell.plan.rates import Rates, guessed_rates
from nutshell.plan.scratch import scratch_folder

# Of what a plan needs that was too much: the next one in 70% of it.
_LESS = 0.7


@dataclass(frozen=True)
class Planner:
    """Plans for one machine. Make it with `Planner.of`, which takes what was measured on the machine before.

    held_bytes: what this process held before any model. The rest as in `make_plan`.
    """

    machine: Machine
    offers: tuple[Offer, ...]
    rates: Rates
    refused: tuple[Rejected, ...] = ()
    ratios: Ratios = field(default_factory=Ratios.none)
    precision: str | None = None
    threads: int | None = None
    max_memory: int | None = None
    held_bytes: int = 0

    @staticmethod
    def of(
        machine: Machine,
        installed: Installed,
        *,
        models: Path | None = None,
        folder: Path | None = None,
        learn: bool = True,
        precision: str | None = None,
        threads: int | None = None,
        max_memory: int | None = None,
    ) -> Planner:
        """models: where models lie, whose disk they are read from. folder: of kept figures, None for the user's."""
        disk: Disk | None = machine.disk_of(models) if models is not None and models.is_absolute() else None
        offers, refused = find_offers(machine, installed, disk, scratch_folder(machine))
        rates = kept_rates(rates_key(machine.cpu, installed.openvino), guessed_rates(machine.cpu, disk), folder)
        return Planner(
            machine,
            offers,
            rates,
            refused,
            Ratios(folder, keep=learn),
            precision,
            threads,
            max_memory,
            machine.memory.own_bytes,
        )

    @property
    def ceiling_bytes(self) -> int:
        """What a run may take of main memory."""
        if self.max_memory is None:
            return default_ceiling(self.machine)
        return min(self.max_memory, self.machine.usable_bytes)

    def plan(self, need: Need) -> Plan:
        """The fastest way that fits. Raises NotEnoughMemory or EngineUnavailable."""
        return make_plan(
            self.machine,
            need,
            self.offers,
            self.rates,
            precision=self.precision,
            threads=self.threads,
            max_memory=self.max_memory,
            held_bytes=self.held_bytes,
            ratios=self.ratios,
            refused=self.refused,
        )

    def on(self, machine: Machine) -> Planner:
        """The same after another look at the machine: what is free changes."""
        return replace(self, machine=machine)

    def only(self, name: str, precisions: Sequence[str] | None = None) -> Planner:
        """Only the engine `name`, as `--engine` takes it. precisions: those that it has here, where it was opened.

        Raises EngineUnavailable for a device that cannot be used, with the reason.
        """
        engine, _, device = name.partition(":")
        device = device or "cpu"
        mine = tuple(
            offer for offer in self.offers if offer.engine == engine and offer.device == device and not offer.lean
        )
        if not mine and (precisions is not None or name == "numpy"):
            # Opened, so it is there, whatever the probe thinks of its device.
            beside = EIGHT_BITS if engine == "openvino" else ()
            mine = (Offer(engine, device, (*(precisions or ("f32",)), *beside), True, title=_title(device)),)
        if not mine:
            reasons = [tr("{name}: {reason}", name=item.what, reason=item.why) for item in self.refused]
            raise EngineUnavailable(
                tr("{name} has nothing to compute on here", name=name),
                join("; ", reasons) if reasons else tr("nutshell doctor lists what is here"),
            )
        if precisions is not None:
            mine = tuple(replace(offer, precisions=_opened(offer, precisions), installed=True) for offer in mine)
        return replace(self, offers=mine, refused=())

    def one_stage_at_a_time(self) -> Planner:
        """Never all stages at once, though there were memory for them."""
        return replace(self, offers=tuple(replace(offer, staged_only=True) for offer in self.offers))

    def under(self, need_bytes: int) -> Planner:
        """For less than a plan needed that turned out to be too much for the machine."""
        return replace(self, max_memory=min(self.ceiling_bytes, int(_LESS * need_bytes)))

    def without(self, engine: str, device: str, why: Text) -> Planner:
        """Without an engine that turned out not to work here."""
        left = tuple(offer for offer in self.offers if (offer.engine, offer.device) != (engine, device))
        name = engine if device == "cpu" else f"{engine}:{device}"
        return replace(self, offers=left, refused=(*self.refused, Rejected(name, why)))

    def limited(self, engine: str, device: str, precisions: Sequence[str]) -> Planner:
        """With what an opened engine says that it computes in, instead of what was concluded from the machine."""
        offers = tuple(
            replace(offer, precisions=_opened(offer, precisions))
            if (offer.engine, offer.device) == (engine, device)
            else offer
            for offer in self.offers
        )
        return replace(self, offers=offers)


def _opened(offer: Offer, precisions: Sequence[str]) -> tuple[str, ...]:
    """What an opened engine computes in; eight bits stand beside that, and it does not tell them."""
    return (*precisions, *(name for name in EIGHT_BITS if name in offer.precisions))


def _title(device: str) -> str:
    return THE_PROCESSOR if device == "cpu" else device
