"""The fastest way to draw a picture here that fits, and why every other one was not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nutshell.errors import EngineUnavailable, NotEnoughMemory
from nutshell.language import Text, tr
from nutshell.machine import Machine
from nutshell.plan.candidates import Candidate, every_way
from nutshell.plan.int8_speed import SlowInt8, int8_reasons
from nutshell.plan.learn import Ratio, Ratios
from nutshell.plan.memory import overlap_bytes
from nutshell.plan.need import Need
from nutshell.plan.offers import EIGHT_BITS, THE_PROCESSOR, Offer, Rejected
from nutshell.plan.rates import Rates
from nutshell.plan.words import ceiling_words, megabytes, reasons_of, seconds_words

# Of what is free: the rest keeps the machine usable meanwhile, and takes up what no estimate knows.
_SHARE_OF_FREE = 0.85
# Within these of the fastest a plan is as fast, for all that an estimate can tell: the engine is then not changed for
# it, and a model does not draw with another one at another size.
_AS_FAST = 1.15
_AS_FAST_SECONDS = 0.5
# Peak memory with OpenVINO's cache over that without, measured: 1.26 to 1.36.
_CACHING = 1.36
# The engines that compile, and let other threads of Python run meanwhile.
_COMPILING = ("openvino", "onnx")
# Eight bits cost some quality, so they must be faster by a quarter. In weights alone they are no faster, and for where
# memory is short.
_WORTH = dict.fromkeys(EIGHT_BITS, 1.25)


@dataclass(frozen=True)
class Plan:
    """How a request will be run.

    engine, device: "torch" on "cuda". lean: weights are used in place, not repacked. staged: each stage is freed
    before the next is loaded; resident: the stages that stay. need_bytes: predicted peak of resident memory;
    device_bytes: on a card of its own. ceiling_bytes: what was allowed. step_seconds, load_seconds, picture_seconds:
    predicted; guessed: from the machine's description alone. reasons: one sentence for each choice. rejected: every
    other way. advice: what would be faster if it were installed. overlap: whether there is room to compile
    all stages at once. strips: the autoencoder runs strip by strip. scratch: the
    folder for weights that are made, with `lean`. key: under which measured figures are kept; ratio:
    what they have taught, which is in the predictions.
    """

    engine: str
    precision: str
    threads: int | None
    staged: bool
    need_bytes: int
    reasons: tuple[Text, ...]
    device: str = "cpu"
    device_title: str = THE_PROCESSOR
    lean: bool = False
    device_bytes: int = 0
    ceiling_bytes: int = 0
    load_seconds: float = 0.0
    step_seconds: float = 0.0
    picture_seconds: float = 0.0
    guessed: bool = True
    resident: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    advice: tuple[Text, ...] = ()
    overlap: bool = False
    strips: bool = False
    scratch: Path | None = None
    key: str = ""
    ratio: Ratio = field(default_factory=Ratio)

    @property
    def engine_name(self) -> str:
        """As `--engine` takes it."""
        return self.engine if self.device == "cpu" else f"{self.engine}:{self.device}"

    @property
    def room_to_cache(self) -> bool:
        """Whether there is memory to write and read compiled networks."""
        return int(_CACHING * self.need_bytes) <= self.ceiling_bytes


def default_ceiling(machine: Machine) -> int:
    """85% of the memory that this process may have."""
    return int(_SHARE_OF_FREE * machine.usable_bytes)


def make_plan(
    machine: Machine,
    need: Need,
    offers: Sequence[Offer],
    rates: Rates,
    *,
    precision: str | None = None,
    threads: int | None = None,
    max_memory: int | None = None,
    held_bytes: int = 0,
    ratios: Ratios | None = None,
    refused: Sequence[Rejected] = (),
) -> Plan:
    """Choose the fastest way that fits. offers: engines on devices; those not installed are only advised.

    rates: of the processor. precision, threads: None to choose. max_memory: bytes of main memory that may be resident
    at most, None for 85% of what is free. held_bytes: what the process held before the model. refused: what was out
    of the question before. Raises EngineUnavailable if no offer has the precision, NotEnoughMemory with the least
    that would do.
    """
    ceiling = default_ceiling(machine) if max_memory is None else min(max_memory, machine.usable_bytes)
    rejected = list(refused)
    here = [offer for offer in offers if offer.installed]
    if not here:
        raise EngineUnavailable(tr("no engine is installed"), tr("pip install openvino"))
    usable = [offer for offer in here if precision is None or precision in offer.precisions]
    if not usable:
        known = dict.fromkeys(name for offer in here for name in offer.precisions if name not in EIGHT_BITS)
        raise EngineUnavailable(
            tr("{name} has no {precision} on this machine", name=here[0].name, precision=precision),
            tr("use one of {known}", known=", ".join(known)),
        )
    every = every_way(offers, need, rates, precision, held_bytes, ratios or Ratios.none(), rejected)
    if not any(each.offer.installed for each in every):
        # Only eight bits can be missing for want of something in the model.
        raise EngineUnavailable(
            tr("{model} cannot be drawn in int8: {why}", model=need.model, why=need.no_eight_bits),
            tr("calibrate it (nutshell calibrate {model}), or leave --precision out", model=need.model),
        )
    fits = [each for each in every if not _too_large(each, ceiling)]
    installed = [each for each in fits if each.offer.installed]
    if not installed:
        least = min((each for each in every if each.offer.installed), key=lambda each: each.memory.need_bytes)
        raise _not_enough(least, ceiling, max_memory, machine)
    slow = SlowInt8.of(machine.cpu, every, rates)
    chosen = _best(slow.without(installed), offers)
    for each in every:
        if each is not chosen:
            rejected.append(Rejected(each.words, _why_not(each, chosen, ceiling, slow)))
    better = [each for each in fits if not each.offer.installed and each.seconds.total < 0.8 * chosen.seconds.total]
    guessed = (chosen.offer.rates or rates).guessed
    return Plan(
        engine=chosen.offer.engine,
        precision=chosen.precision,
        threads=_threads(chosen, machine, threads),
        staged=chosen.staged,
        need_bytes=min(ceiling, chosen.memory.need_bytes + chosen.memory.spare_bytes),
        reasons=(
            *reasons_of(chosen, installed, ceiling, max_memory, guessed),
            *int8_reasons(machine.cpu, chosen, every, guessed),
        ),
        device=chosen.offer.device,
        device_title=chosen.offer.title,
        lean=chosen.offer.lean,
        device_bytes=chosen.memory.device_bytes,
        ceiling_bytes=ceiling,
        load_seconds=chosen.seconds.load,
        step_seconds=chosen.seconds.step,
        picture_seconds=chosen.seconds.total,
        guessed=guessed,
        resident=() if chosen.staged else tuple(stage.name for stage in need.stages),
        rejected=tuple(rejected),
        overlap=_overlaps(chosen, need, ceiling),
        strips=chosen.strips,
        scratch=chosen.offer.scratch,
        advice=(_advice(_best(better, offers), chosen),) if better else (),
        key=chosen.key,
        ratio=chosen.ratio,
    )


def _overlaps(chosen: Candidate, need: Need, ceiling: int) -> bool:
    """Whether stages may be compiled ahead: they stay anyway, the engine lets Python go, and all files' pages fit."""
    return (
        not chosen.staged
        and chosen.offer.engine in _COMPILING
        and chosen.memory.need_bytes + overlap_bytes(need.stages) <= ceiling
    )


def _best(candidates: Sequence[Candidate], offers: Sequence[Offer]) -> Candidate:
    """The fastest; of those as fast that of the first offer, which keeps its stages for the next picture."""
    fastest = min(map(_weighed, candidates))
    near = [each for each in candidates if _as_fast(_weighed(each), fastest)]
    return min(near, key=lambda each: (offers.index(each.offer), each.strips, each.staged, _weighed(each)))


def _as_fast(seconds: float, fastest: float) -> bool:
    return seconds <= max(_AS_FAST * fastest, fastest + _AS_FAST_SECONDS)


def _weighed(each: Candidate) -> float:
    return each.seconds.total * _WORTH.get(each.precision, 1.0)


def _too_large(each: Candidate, ceiling: int) -> Text | None:
    """Why it does not fit; None if it does."""
    if each.memory.need_bytes > ceiling:
        need = megabytes(each.memory.need_bytes)
        return tr("needs about {need}, more than the {ceiling} allowed", need=need, ceiling=megabytes(ceiling))
    room = each.offer.memory_bytes
    if room is not None and each.memory.device_bytes > _SHARE_OF_FREE * room:
        return tr(
            "needs about {need} on the card, of which {room} can be had",
            need=megabytes(each.memory.device_bytes),
            room=megabytes(int(_SHARE_OF_FREE * room)),
        )
    return None


def _why_not(each: Candidate, chosen: Candidate, ceiling: int, slow: SlowInt8) -> Text:
    reason = _too_large(each, ceiling)
    if reason is not None:
        return reason
    if each in slow.candidates and each.precision != chosen.precision:
        return slow.reason
    time = seconds_words(each.seconds.total)
    if not each.offer.installed:
        return tr("not installed (about {time} a picture)", time=time)
    if each.strips and not chosen.strips:
        return tr("no need: there is memory for whole pictures")
    if each.staged and not chosen.staged and (each.offer, each.precision) == (chosen.offer, chosen.precision):
        return tr("no need: there is memory for all stages, which the next picture then finds loaded")
    if each.seconds.total > chosen.seconds.total:
        return tr("slower: about {time} a picture", time=time)
    if _weighed(each) > _weighed(chosen):
        return tr("hardly faster, and eight bits cost some quality")
    return tr("no faster than an estimate could tell: about {time} a picture", time=time)


def _not_enough(least: Candidate, ceiling: int, max_memory: int | None, machine: Machine) -> NotEnoughMemory:
    need = least.memory.need_bytes
    if need <= ceiling:
        # Main memory would do; the card's does not.
        room = int(_SHARE_OF_FREE * (least.offer.memory_bytes or 0))
        return NotEnoughMemory(least.memory.device_bytes, room, tr("ask for a smaller size, or --engine openvino"))
    return NotEnoughMemory(need, ceiling, ceiling_words(need, max_memory, machine.usable_bytes))


def _advice(better: Candidate, chosen: Candidate) -> Text:
    package = {"openvino": "openvino", "onnx": "onnxruntime onnx-ir"}.get(better.offer.engine, "'nutshell[torch]'")
    if better.offer.device.startswith("npu"):
        package += " torch_npu"
    return tr(
        "install {package} to use {device}: about {time} a picture instead of {old_time}",
        package=package,
        device=better.offer.title,
        time=seconds_words(better.seconds.total),
        old_time=seconds_words(chosen.seconds.total),
    )


def _threads(chosen: Candidate, machine: Machine, asked: int | None) -> int | None:
    """A container's share of the processors is known here and not to every engine; None leaves it to the engine."""
    if asked is not None or chosen.offer.on_card:
        return asked
    return machine.cores if machine.knows("cpu") and machine.knows("cpu.cores") else None
