"""AMD's graphics on Linux: the amdgpu driver's files in /sys (the kernel's Documentation/gpu/amdgpu)."""

from __future__ import annotations

from nutshell.machine.facts import Gpu
from nutshell.machine.pci import PciDevice, name_of, siblings
from nutshell.machine.source import Source, number_or_none, text_or

_ROCM = "/opt/rocm/.info/version"
_SECURITY_PROCESSOR = "1080"


def read_amd(source: Source, found: tuple[PciDevice, ...], card: PciDevice, cpu_model: str) -> Gpu:
    """One card. Integrated ones own a part of the main memory that the firmware set aside."""
    # A processor with graphics has its security processor (an encryption controller) on the same chip.
    on_chip = any(one.kind.startswith(_SECURITY_PROCESSOR) for one in siblings(found, card))
    alone = sum(one.draws and one.vendor == "1002" for one in found) == 1
    integrated = on_chip or (alone and "with Radeon" in cpu_model)
    total = number_or_none(source, f"{card.path}/mem_info_vram_total")
    used = number_or_none(source, f"{card.path}/mem_info_vram_used")
    rocm = text_or(source, _ROCM)
    return Gpu(
        vendor="amd",
        name=text_or(source, f"{card.path}/product_name") or name_of(source, card, "AMD"),
        kind="integrated" if integrated else "discrete",
        memory_bytes=total,
        free_bytes=None if total is None or used is None else max(0, total - used),
        driver=card.driver,
        # "6.2.0-66": the build's number is of no use.
        runtime=f"ROCm {rocm.partition('-')[0]}" if rocm else "",
    )
