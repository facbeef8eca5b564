"""Graphics cards and neural processors of every maker."""

from __future__ import annotations

import json
import re
from typing import Any

from nutshell.language import tr
from nutshell.machine import pci
from nutshell.machine.amd import read_amd
from nutshell.machine.ascend import read_ascend
from nutshell.machine.facts import Cpu, Gpu, GpuVendor
from nutshell.machine.nvidia import is_wsl_gpu, read_nvidia
from nutshell.machine.source import Notes, Source

_INTEL, _AMD, _NVIDIA, _HUAWEI = "8086", "1002", "10de", "19e5"
_PROFILER_SECONDS = 1.2

# Intel's own graphics sits at this place in every chipset; cards are behind a bridge.
_INTEL_BUILT_IN = "0000:00:02.0"


def read_gpus(source: Source, notes: Notes, cpu: Cpu) -> tuple[Gpu, ...]:
    """All of them, discrete ones first."""
    reader = {"linux": _linux, "darwin": _mac, "win32": _windows}.get(source.platform)
    gpus = reader(source, notes, cpu) if reader else []
    return tuple(sorted(gpus, key=lambda gpu: gpu.kind != "discrete"))


def _linux(source: Source, notes: Notes, cpu: Cpu) -> list[Gpu]:
    found = notes.attempt("gpu", lambda: pci.devices(source), None)
    cards = tuple(pci.of_interest(found or ()))
    gpus: list[Gpu] = []
    nvidia = [card for card in cards if card.vendor == _NVIDIA]
    # Without /sys the driver is the only witness.
    if nvidia or found is None or is_wsl_gpu(source) or pci.has_folder(source, "/proc/driver/nvidia"):
        gpus += notes.attempt("gpu.nvidia", lambda: read_nvidia(source, notes, nvidia), [])
    huawei = [card for card in cards if card.vendor == _HUAWEI and not card.draws]
    gpus += notes.attempt("gpu.ascend", lambda: read_ascend(source, notes, huawei), [])
    for card in cards:
        if card.vendor == _AMD:
            gpus += notes.attempt("gpu.amd", lambda card=card: [read_amd(source, found or (), card, cpu.model)], [])  # type: ignore[misc]
        elif card.vendor == _INTEL and card.draws:
            kind: Any = "integrated" if card.slot == _INTEL_BUILT_IN else "discrete"
            gpus.append(Gpu("intel", pci.name_of(source, card, "Intel"), kind, driver=card.driver))
    return gpus


def _mac(source: Source, notes: Notes, cpu: Cpu) -> list[Gpu]:
    if cpu.vendor == "apple":
        return [Gpu("apple", cpu.model, "integrated", driver="macos", runtime="Metal")]
    return notes.attempt("gpu", lambda: _profiled(source), [])


def _profiled(source: Source) -> list[Gpu]:
    """`system_profiler SPDisplaysDataType -json`, asked on Intel Macs only, for it takes most of a second."""
    output = source.run("system_profiler", "SPDisplaysDataType", "-json", timeout=_PROFILER_SECONDS)
    gpus = []
    for card in json.loads(output.text)["SPDisplaysDataType"]:
        name = card.get("sppci_model") or card.get("_name", "")
        vendor = _vendor_in(f"{card.get('spdisplays_vendor', '')} {name}")
        built_in = card.get("sppci_bus") == "spdisplays_builtin"
        # Built-in graphics have "spdisplays_vram_shared", or "_spdisplays_vram", a share of the main memory.
        size = re.fullmatch(r"(\d+) (MB|GB)", card.get("spdisplays_vram", ""))
        memory = int(size[1]) * (2**30 if size[2] == "GB" else 2**20) if size and not built_in else None
        # "spdisplays_metal": "spdisplays_supported" on old systems, "spdisplays_mtlgpufamilysupport" on newer ones.
        told = [str(value) for key, value in card.items() if key.startswith(("spdisplays_metal", "spdisplays_mtl"))]
        metal = "Metal" if any("notsupported" not in value for value in told) else ""
        if vendor:
            gpus.append(
                Gpu(vendor, name, "integrated" if built_in else "discrete", memory, driver="macos", runtime=metal)
            )
    return gpus


def _windows(source: Source, notes: Notes, cpu: Cpu) -> list[Gpu]:
    adapters: list[dict[str, Any]] = notes.attempt("gpu", lambda: list(source.ask("display_adapters")), [])
    gpus: list[Gpu] = []
    named = [(adapter, _vendor_in(str(adapter.get("name") or ""))) for adapter in adapters]
    if any(vendor == "nvidia" for _, vendor in named):
        gpus += notes.attempt("gpu.nvidia", lambda: read_nvidia(source, notes, ()), [])
        if not gpus:
            notes.add("gpu.nvidia", tr("Windows lists a card, and its driver does not answer"))
    for adapter, vendor in named:
        if vendor is None or (vendor == "nvidia" and gpus):
            continue
        name, memory = str(adapter["name"]).strip(), adapter.get("memory")
        own = int(memory) if isinstance(memory, int) and memory > 0 else None
        # Names are all there is: Intel sells cards as Arc, AMD names graphics in a processor without a model number.
        card = bool(re.search(r"\bArc\b.*\b[AB]\d{3}|Radeon.* (RX|Pro|VII|R[579]|HD) ?\w*|GeForce|Quadro|RTX", name))
        driver = f"{vendor} {adapter.get('driver') or ''}".strip()
        gpus.append(Gpu(vendor, name, "discrete" if card else "integrated", own if card else None, driver=driver))
    return gpus


def _vendor_in(text: str) -> GpuVendor | None:
    words: tuple[tuple[str, GpuVendor], ...] = (
        (r"nvidia|geforce|quadro|tesla", "nvidia"),
        (r"\bamd\b|radeon|\bati\b|0x1002", "amd"),
        (r"intel|0x8086", "intel"),
        (r"apple", "apple"),
    )
    return next((vendor for pattern, vendor in words if re.search(pattern, text, re.IGNORECASE)), None)
