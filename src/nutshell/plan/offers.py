"""What could run here: each engine on each device that it suits, and why others are out of the question.

Facts of engines and devices stand here, and nowhere a model's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nutshell.language import Text, tr
from nutshell.machine import Disk, Gpu, Lack, Machine, lack
from nutshell.plan.installed import Installed
from nutshell.plan.instruction_sets import ARM, set_class, times
from nutshell.plan.rates import Rates, guessed_card_rates

GIB = 2**30
THE_PROCESSOR = tr("the processor")

# Not arithmetic of their own: what is not in eight bits is computed in the best precision that there is beside.
# "int8": inputs and weights of linears and convolutions, by a model's card. "int8_weights": linears' weights only.
EIGHT_BITS = ("int8", "int8_weights")

# OpenVINO's documentation, CPU device: quantized models are "executed in simulation mode" there. Its maintainers say
# the same in 2026: github.com/openvinotoolkit/openvino_build_deploy/pull/440.
NO_INT8_ON_ARM = tr(
    "on ARM OpenVINO computes eight bits in floating point, by its documentation: neither time nor memory would be won"
)

# A card with less holds the system's windows and nothing beside them; PyTorch alone takes some 0.5 GB.
_LEAST_CARD_BYTES = 2 * GIB
# Up to here a card has room for one stage at a time in half precision.
_SMALL_CARD_BYTES = 4 * GIB
# The builds of PyTorch that are offered today have left out the cards before Volta.
_LEAST_CAPABILITY = (7, 0)


@dataclass(frozen=True)
class Offer:
    """An engine on a device. precisions: that it computes in there. installed: it can be planned, not only advised.

    memory_bytes: free memory of the device; None where it is the machine's own. rates: None for the processor's.
    staged_only: the device is too small for more than one stage. lean: weights are used in place, not repacked.
    scratch: with them, the folder for eight-bit weights, which no file has. title: the device, for people: a card's
    name, or a Text. times: of a pass by precision, over OpenVINO's in f32, where the table of instruction sets has them
    for this engine.
    """

    engine: str
    device: str
    precisions: tuple[str, ...]
    installed: bool
    title: str = THE_PROCESSOR
    memory_bytes: int | None = None
    rates: Rates | None = None
    staged_only: bool = False
    lean: bool = False
    scratch: Path | None = None
    times: Mapping[str, float] = field(default_factory=dict)

    def arithmetic(self, precision: str) -> str:
        """What is computed in where eight bits are not."""
        return arithmetic(precision, self.precisions)

    @property
    def on_card(self) -> bool:
        return self.device != "cpu"

    @property
    def name(self) -> str:
        """As `--engine` takes it."""
        return f"{self.engine}:{self.device}" if self.on_card else self.engine

    @property
    def words(self) -> str:
        """For people, a Text where it has a word in it; in English also a part of the keys of kept figures."""
        return tr("{engine} with weights in place", engine=self.name) if self.lean else self.name


def arithmetic(precision: str, precisions: Sequence[str]) -> str:
    """`precision`, or what stands beside eight bits: the best of `precisions`, which are in that order."""
    if precision not in EIGHT_BITS:
        return precision
    return next((name for name in precisions if name not in EIGHT_BITS), "f32")


@dataclass(frozen=True)
class Rejected:
    """A way that was not taken. what: engine, precision and mode (a Text), or a device."""

    what: str
    why: Text


def find_offers(
    machine: Machine, installed: Installed, disk: Disk | None = None, scratch: Path | None = None
) -> tuple[tuple[Offer, ...], tuple[Rejected, ...]]:
    """Every engine on every device it could compute on, and the devices that none can use.

    disk: that models are read from. scratch: a folder on one for weights that are made, None where there is none.
    """
    missing = lack(machine, "openvino", installed.openvino)
    offers = list(_on_processor(machine, installed, missing, scratch))
    refused = [] if missing is None else [Rejected("openvino", _lacking(missing))]
    if set_class(machine.cpu) is ARM:
        refused.append(Rejected(tr("{engine}, {precision}", engine="openvino", precision="int8"), NO_INT8_ON_ARM))
    for index, gpu in enumerate(machine.gpus):
        reason = _unfit(gpu, machine)
        if reason is not None:
            refused.append(Rejected(gpu.name, reason))
            continue
        place = sum(1 for other in machine.gpus[:index] if other.vendor == gpu.vendor)
        offers.append(_on_card(gpu, place, installed, disk))
    return tuple(offers), tuple(refused)


def processor_precisions(machine: Machine) -> tuple[str, ...]:
    """What OpenVINO computes in on this processor without emulating it, best first."""
    features = machine.cpu.features
    half = [("bf16", {"avx512_bf16", "amx_bf16"}), ("f16", {"avx512_fp16"})]
    eight = () if set_class(machine.cpu) is ARM else EIGHT_BITS
    return (*(name for name, sets in half if sets & features), "f32", *eight)


def _lacking(missing: Lack) -> Text:
    if missing.need.must:
        return missing.reason
    return tr("{reason}; --engine openvino tries it all the same", reason=missing.reason)


def _on_processor(
    machine: Machine, installed: Installed, missing: Lack | None, scratch: Path | None
) -> Iterator[Offer]:
    """missing: what OpenVINO needs and this processor lacks."""
    if machine.cpu.architecture in ("x86_64", "aarch64", "") and missing is None:
        yield Offer("openvino", "cpu", processor_precisions(machine), installed.has("openvino"))
    if machine.system.python_bits == 64:
        # Without quantized inputs it would widen eight-bit weights for good, so there are no "int8_weights".
        onnx = ("f32", "int8")
        known = {name: row.times for name in onnx if (row := times(machine.cpu, "onnx", name)) is not None}
        yield Offer("onnx", "cpu", onnx, installed.has("onnx"), times=known)
        # Older versions copy every weight that they are given.
        made = scratch is not None and _at_least(installed.onnx, (1, 31))
        in_place = onnx if made else ("f32",)
        yield Offer("onnx", "cpu", in_place, installed.has("onnx"), lean=True, scratch=scratch)
        yield Offer("torch", "cpu", ("f32",), installed.has("torch"))
    else:
        # No engine is built for 32 bits any more. NumPy draws there, slowly.
        yield Offer("numpy", "cpu", ("f32",), True)


def _at_least(version: str, least: tuple[int, ...]) -> bool:
    numbers = version.split(".")[: len(least)]
    return all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) >= least


def _unfit(gpu: Gpu, machine: Machine) -> Text | None:
    """Why nothing can compute on it; None if something can."""
    if gpu.vendor == "apple":
        return tr("this Python is one for Intel, run in translation") if machine.system.translated else None
    if gpu.kind == "integrated":
        return tr("it shares the processor's memory and is no faster than the processor at this")
    if not gpu.driver:
        return tr("no driver is loaded for it")
    if gpu.memory_bytes is None or gpu.memory_bytes < _LEAST_CARD_BYTES:
        if gpu.memory_bytes:
            return tr("it has less than 2 GB of memory of its own")
        return tr("its memory could not be read")
    if gpu.vendor == "nvidia":
        capability = gpu.compute_capability
        if capability is None:
            return tr("its driver does not tell what it can compute")
        if capability < _LEAST_CAPABILITY:
            known = "{}.{}".format(*capability)
            return tr("its compute capability {capability} is below 7.0, which PyTorch has dropped", capability=known)
    if gpu.vendor == "amd" and not gpu.runtime.startswith("ROCm"):
        return tr("it needs {what}, which is not here", what="ROCm")
    if gpu.vendor == "ascend" and not gpu.runtime.startswith("CANN"):
        return tr("it needs {what}, which is not here", what="CANN")
    return None


def _on_card(gpu: Gpu, place: int, installed: Installed, disk: Disk | None) -> Offer:
    kind = {"nvidia": "cuda", "amd": "cuda", "intel": "xpu", "apple": "mps", "ascend": "npu"}[gpu.vendor]
    here = installed.has("torch") and "+cpu" not in installed.torch
    if gpu.vendor == "ascend":
        here = here and installed.has("torch_npu")
    small = gpu.memory_bytes is not None and gpu.memory_bytes <= _SMALL_CARD_BYTES
    return Offer(
        "torch",
        kind if place == 0 else f"{kind}:{place}",
        _card_precisions(gpu, small),
        here,
        title=gpu.name,
        memory_bytes=gpu.memory_bytes and (gpu.memory_bytes if gpu.free_bytes is None else gpu.free_bytes),
        rates=guessed_card_rates(gpu, disk),
        staged_only=small,
    )


def _card_precisions(gpu: Gpu, small: bool) -> tuple[str, ...]:
    if gpu.vendor == "nvidia":
        # GTX 1630 to 1660 (TU116, TU117): Turing without tensor cores, whose float16 yields black pictures.
        if "GTX 16" in gpu.name:
            return ("f32",)
        half = ("f16", "bf16") if (gpu.compute_capability or (0, 0)) >= (8, 0) else ("f16",)
        return half if small else (*half, "f32")
    if gpu.vendor == "intel":
        return ("f16", "bf16") if small else ("f16", "bf16", "f32")
    return ("f16",) if small else ("f16", "f32")
