"""Rules about graphics cards and neural processors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nutshell.language import tr
from nutshell.machine.examination import EngineReport, Examination
from nutshell.machine.facts import Gpu
from nutshell.machine.rules.finding import Finding, size

# Below this a card holds no stage of a model; the planner leaves it alone as well.
_SMALL_BYTES = 2_000_000_000

# PyTorch 2.8 left Maxwell and Pascal out of its builds for CUDA 12.8 on, 2.11 Volta; CUDA 13 knows none below 7.5,
# and ONNX Runtime's packages for it neither (pytorch/pytorch issues 157517 and 172352).
_OLDEST = (7, 5)
_OLDEST_IN_CUDA_126 = (5, 0)
_OLDEST_CUDA = 12

# What PyTorch takes on disk with the libraries of the maker, and its name of the device.
_TORCH = {"nvidia": ("5 GB", "cuda"), "apple": ("500 MB", "mps"), "ascend": ("3 GB", "npu")}


def drivers(examination: Examination) -> Iterator[Finding]:
    """Cards whose driver is missing or silent."""
    machine = examination.machine
    reasons = {item.fact: item.reason for item in machine.unknown}
    for gpu in _each(examination):
        if gpu.vendor == "nvidia" and not gpu.driver.startswith("nvidia"):
            key = "nvidia-nouveau" if gpu.driver else "nvidia-no-driver"
            yield Finding(key, "limits", {"name": gpu.name})
        elif gpu.vendor == "nvidia" and not gpu.runtime:
            values = {"name": gpu.name, "reason": reasons.get("gpu.nvidia", tr("no reason given"))}
            yield Finding("nvidia-driver-fails", "limits", values)
        elif gpu.vendor == "ascend" and not gpu.driver:
            values = {"name": gpu.name, "reason": reasons.get("gpu.ascend", tr("no reason given"))}
            yield Finding("ascend-no-driver", "limits", values)
        elif gpu.vendor == "ascend" and not gpu.runtime:
            yield Finding("ascend-no-cann", "limits", {"name": gpu.name})


def capability(examination: Examination) -> Iterator[Finding]:
    """NVIDIA cards that an engine left out, and drivers that are too old for any."""
    torch = examination.engine("torch")
    for gpu in _each(examination):
        if gpu.vendor != "nvidia" or _is_small(gpu):
            continue
        cuda = re.fullmatch(r"CUDA (\d+)\.\d+", gpu.runtime)
        if cuda and int(cuda[1]) < _OLDEST_CUDA:
            yield Finding("nvidia-old-driver", "note", {"name": gpu.name, "driver": gpu.driver, "runtime": gpu.runtime})
        if gpu.compute_capability is None:
            continue
        values = {"name": gpu.name, "capability": "{}.{}".format(*gpu.compute_capability)}
        built = _built_for(torch, gpu.compute_capability)
        if built is False:
            old = gpu.compute_capability < _OLDEST
            wanted = "CUDA 12.6" if old and gpu.compute_capability >= _OLDEST_IN_CUDA_126 else tr("a newer CUDA")
            yield Finding("nvidia-not-in-torch", "limits", {**values, "wanted": wanted})
        elif built is None and gpu.compute_capability < _OLDEST:
            yield Finding("nvidia-old", "note", values)


def half_precision(examination: Examination) -> Iterator[Finding]:
    """GTX 1630 to 1660 SUPER: Turing without tensor cores, whose half precision overflows in these networks."""
    for gpu in _each(examination):
        if re.search(r"\bGTX 16\d\d\b", gpu.name):
            yield Finding("gtx-16", "note", {"name": gpu.name})


def use(examination: Examination) -> Iterator[Finding]:
    """Cards that are too small, or that nobody uses."""
    for gpu in _each(examination):
        if gpu.kind == "discrete" and _is_small(gpu):
            yield Finding("card-small", "note", {"name": gpu.name, "memory": size(gpu.memory_bytes or 0)})
        elif examination.engines and gpu.runtime and gpu.vendor in _TORCH and not _is_left_out(gpu):
            download, device = _TORCH[gpu.vendor]
            torch = examination.engine("torch")
            if not any(one.startswith(device) for one in (torch.devices if torch else ())):
                yield Finding("card-unused", "note", {"name": gpu.name, "download": download, "device": device})


def _each(examination: Examination) -> list[Gpu]:
    """One of each kind: two cards of one name have the same troubles."""
    return list({(gpu.vendor, gpu.name): gpu for gpu in examination.machine.gpus}.values())


def _is_small(gpu: Gpu) -> bool:
    return gpu.kind == "discrete" and gpu.memory_bytes is not None and gpu.memory_bytes < _SMALL_BYTES


def _is_left_out(gpu: Gpu) -> bool:
    return gpu.compute_capability is not None and gpu.compute_capability < _OLDEST


def _built_for(torch: EngineReport | None, wanted: tuple[int, int]) -> bool | None:
    """Whether that PyTorch has code for the card; None if it does not say.

    Code of one major version runs on the minor ones above it ("sm_80" on 8.6), and "compute_" on all above.
    """
    if torch is None or not torch.architectures:
        return None
    for name in torch.architectures:
        found = re.fullmatch(r"(sm|compute)_(\d+?)(\d)[af]?", name)
        if found:
            have = (int(found[2]), int(found[3]))
            if have <= wanted and (found[1] == "compute" or have[0] == wanted[0]):
                return True
    return False
