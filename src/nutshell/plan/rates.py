"""How fast a machine is: measured by `nutshell bench --quick`, else guessed by the rules below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nutshell.machine import Cpu, Disk, Gpu
from nutshell.plan.instruction_sets import times
from nutshell.plan.shares import rate_of

# ---------------------------------------------------------------- rules for a guess, all of them per core and cycle
# Operations in float32, a fused multiply-add counted as two: two vector units of that width, as most cores have.
_PER_CYCLE = (("avx512f", 48.0), ("fma", 32.0), ("avx", 16.0), ("sve", 16.0), ("neon", 16.0))
_PER_CYCLE_ELSE = 8.0
_APPLE_PER_CYCLE = 32.0  # Four units of 128 bits.
# Sustained by all cores at once, not the figure on the box.
_X86_HERTZ, _ARM_HERTZ, _APPLE_HERTZ = 2.5e9, 1.8e9, 3.0e9
_HALF = (("bf16", ("amx_bf16", "avx512_bf16")), ("f16", ("avx512_fp16",)))
# Where the table of instruction sets has nothing: half precision is twice as fast, eight bits are no gain.
_HALF_RATE = 2.0
_MEMORY_BYTES = {"apple": 50e9, "arm": 8e9}
_MEMORY_BYTES_ELSE = 15e9
# Sequential reading: hard disk, USB stick, solid state.
_DISK_BYTES, _STICK_BYTES, _SSD_BYTES = 100e6, 60e6, 400e6

# Between a server core of 2024 (0.6 ms) and one of half its speed (2.6 ms).
_NODE_BUILD_SECONDS = 1.5e-3

# A card's memory goes with its speed: from GTX 1050 to RTX 4090 0.7 to 3.4 TFLOP/s in float32 for each GB.
_CARD_OPERATIONS_PER_BYTE = 0.9e3
_CARD_BYTES_ELSE = 4e9
_APPLE_CARD = 2.6e12  # M1, the smallest.


@dataclass(frozen=True)
class Rates:
    """operations_per_second: by precision ("f32", "bf16", "f16", "int8"), of a large product. guessed: not measured.

    node_build_seconds: what an engine takes to make ready one node of a graph, beside its weights.
    """

    operations_per_second: Mapping[str, float]
    memory_bytes_per_second: float
    read_bytes_per_second: float
    node_build_seconds: float = _NODE_BUILD_SECONDS
    guessed: bool = True

    def of(self, precision: str) -> float:
        """Operations per second; what a device has no arithmetic of its own for runs as float32."""
        return self.operations_per_second.get(precision, self.operations_per_second["f32"])


def guessed_rates(cpu: Cpu, disk: Disk | None = None) -> Rates:
    """Rates of a processor from its instruction sets and cores alone: right within a factor of two or three."""
    apple = cpu.vendor == "apple"
    arm = cpu.architecture in ("aarch64", "armv7l")
    per_cycle = _APPLE_PER_CYCLE if apple else _first(_PER_CYCLE, cpu, _PER_CYCLE_ELSE)
    hertz = _APPLE_HERTZ if apple else _ARM_HERTZ if arm else _X86_HERTZ
    plain = per_cycle * hertz * max(1, cpu.cores)
    rates = {"f32": plain, **_other_rates(cpu, plain)}
    memory = _MEMORY_BYTES.get("apple" if apple else "arm" if arm else "", _MEMORY_BYTES_ELSE)
    return Rates(rates, memory, _read_rate(disk))


def _other_rates(cpu: Cpu, plain: float) -> dict[str, float]:
    """Rates in other precisions, from the times that the table of instruction sets has of OpenVINO."""
    here = [name for name, features in _HALF if any(feature in cpu.features for feature in features)]
    rates = {}
    for precision in (*here, "int8"):
        known = times(cpu, "openvino", precision)
        if known is not None:
            rates[precision] = rate_of(plain, "openvino", precision, known.times)
        else:
            rates[precision] = _HALF_RATE * plain if precision in here else rate_of(plain, "openvino", precision, 1.0)
    return rates


def guessed_card_rates(gpu: Gpu, disk: Disk | None = None) -> Rates:
    """Rates of a graphics card from how much memory it has; a guess, and told as one."""
    plain = _CARD_OPERATIONS_PER_BYTE * (gpu.memory_bytes or _CARD_BYTES_ELSE)
    if gpu.vendor == "apple":
        plain = _APPLE_CARD
    tensor_cores = gpu.vendor == "ascend" or (gpu.compute_capability or (0, 0)) >= (7, 0)
    half = plain * (4.0 if tensor_cores else 1.2)
    return Rates(
        {"f32": plain, "f16": half, "bf16": half}, 20 * (gpu.memory_bytes or _CARD_BYTES_ELSE), _read_rate(disk)
    )


def _first(rules: tuple[tuple[str, float], ...], cpu: Cpu, otherwise: float) -> float:
    return next((value for feature, value in rules if feature in cpu.features), otherwise)


def _read_rate(disk: Disk | None) -> float:
    if disk is None:
        return _SSD_BYTES
    return _STICK_BYTES if disk.removable else _DISK_BYTES if disk.rotational else _SSD_BYTES
