"""NVIDIA's cards: by NVML, else by nvidia-smi, else by what lies on the bus."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import Any

from nutshell.language import join, tr
from nutshell.machine.facts import Gpu, GpuKind
from nutshell.machine.pci import PciDevice, name_of
from nutshell.machine.source import Notes, Source, Unreadable, brief, names_or_none, text_or

# A driver that nothing else has open is started first, which takes a second or so for each card.
_SECONDS = 1.2
_FIELDS = "name,memory.total,memory.free,driver_version,compute_cap"


class _NoLibrary(Unreadable):
    """The driver's library is not where it should be, though the tool may be (an odd container)."""


def read_nvidia(source: Source, notes: Notes, cards: Sequence[PciDevice]) -> list[Gpu]:
    """All cards. Where the driver does not answer the reason is noted, and the cards are named from the bus."""
    try:
        return _by_nvml(source)
    except _NoLibrary as error:
        reason = error.reason
        try:
            return _by_nvidia_smi(source)
        except Unreadable as other:
            reason = join("; ", (reason, other.reason))
    except Unreadable as error:
        reason = error.reason
    if not cards and not _driver_version(source):
        return []  # No card, no driver, and nobody to ask: nothing is amiss.
    notes.add("gpu.nvidia", reason)
    return [_by_bus(source, card) for card in cards]


def _by_nvml(source: Source) -> list[Gpu]:
    told = source.ask("nvml", str(_SECONDS))
    if told.get("missing"):
        raise _NoLibrary(tr("no NVML: the NVIDIA driver's library (NVML) is not installed"))
    if "error" in told:
        raise Unreadable(tr("NVML: {reason}", reason=brief(told["error"])))
    cuda = int(told["cuda"])
    return [
        _gpu(
            one["name"],
            one.get("total"),
            one.get("free"),
            (int(one["capability"][0]), int(one["capability"][1])),
            told["driver"],
            f"CUDA {cuda // 1000}.{cuda % 1000 // 10}",
        )
        for one in told["devices"]
    ]


def _by_nvidia_smi(source: Source) -> list[Gpu]:
    """`nvidia-smi --query-gpu` (man nvidia-smi): comma-separated, MiB without units, "[N/A]" where unknown."""
    output = source.run("nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits", timeout=_SECONDS)
    fields = _FIELDS
    if "not a valid field" in output.text:  # compute_cap came with driver 510.
        fields = _FIELDS.removesuffix(",compute_cap")
        output = source.run("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", timeout=_SECONDS)
    if output.code:
        said = brief(output.text) or tr("exit code {code}", code=output.code)
        raise Unreadable(tr("nvidia-smi: {said}", said=said))
    try:
        table = source.run("nvidia-smi", timeout=_SECONDS).text
    except Unreadable:
        table = ""
    version = re.search(r"CUDA Version:\s*(\d+\.\d+)", table)
    runtime = f"CUDA {version[1]}" if version else ""
    gpus = []
    for row in csv.reader(output.text.strip().splitlines(), skipinitialspace=True):
        if len(row) == fields.count(",") + 1:
            values = dict(zip(fields.split(","), row, strict=True))
            whole, _, part = values.get("compute_cap", "").partition(".")
            capability = (int(whole), int(part)) if whole.isdigit() and part.isdigit() else None
            total, free = (_mebibytes(values[f"memory.{which}"]) for which in ("total", "free"))
            gpus.append(_gpu(values["name"], total, free, capability, values["driver_version"], runtime))
    if not gpus:
        raise Unreadable(tr("nvidia-smi listed no card: {said}", said=brief(output.text)[:120]))
    return gpus


def _by_bus(source: Source, card: PciDevice) -> Gpu:
    driver = f"{card.driver} {_driver_version(source) if card.driver == 'nvidia' else ''}".strip()
    return Gpu("nvidia", name_of(source, card, "NVIDIA"), "discrete", driver=driver)


def _driver_version(source: Source) -> str:
    """The kernel module's: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 ..."."""
    found = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", text_or(source, "/proc/driver/nvidia/version"))
    return found[1] if found else ""


def is_wsl_gpu(source: Source) -> bool:
    """Under WSL the card is not on the bus: Windows passes it through /dev/dxg."""
    return "dxg" in names_or_none(source, "/dev")


def _gpu(
    name: Any, total: int | None, free: int | None, capability: tuple[int, int] | None, driver: str, runtime: str
) -> Gpu:
    kind: GpuKind = "integrated" if re.search(r"Orin|Xavier|Tegra|Thor", str(name)) else "discrete"
    full = str(name) if str(name).startswith("NVIDIA") else f"NVIDIA {name}"
    return Gpu("nvidia", full, kind, total, free, capability, f"nvidia {driver}", runtime)


def _mebibytes(text: str) -> int | None:
    return int(text) * 2**20 if text.strip().isdigit() else None
