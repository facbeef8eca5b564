"""What the measurement ran on, and what a process holds of it. Linux only: it reads /proc."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import psutil

# Instruction sets that decide which kernels run, as /proc/cpuinfo names them.
_FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")
_PACKAGES = ("numpy", "openvino", "openvino-genai", "onnxruntime", "torch", "diffusers", "transformers")


def describe() -> dict[str, object]:
    """Processor, memory and versions; nothing that names the machine or its owner."""
    model, flags = _processor()
    return {
        "processor": model,
        "instruction_sets": [flag for flag in _FLAGS if flag in flags],
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def resident() -> dict[str, int]:
    """Bytes of this process in memory now: anonymous, and file pages that the kernel may drop at will."""
    rows = _table(Path("/proc/self/smaps_rollup"))
    return {"anonymous_bytes": rows["Anonymous"], "file_bytes": rows["Rss"] - rows["Anonymous"]}


def peak_bytes() -> int:
    """Most resident memory of this process since it started, or since somebody set the mark back."""
    return _table(Path("/proc/self/status"))["VmHWM"]


def load_average() -> float:
    """How many processes wanted a core in the last minute."""
    return round(float(psutil.getloadavg()[0]), 2)


def _table(path: Path) -> dict[str, int]:
    """The "Name:  123 kB" lines of a file in /proc, in bytes."""
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {row[0].rstrip(":"): 1024 * int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB"}


def _processor() -> tuple[str, set[str]]:
    model, flags = platform.processor() or "unknown", set[str]()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            model = value.strip()
        elif name.strip() in ("flags", "Features"):
            flags = set(value.split())
    return model, flags


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
