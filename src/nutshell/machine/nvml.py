"""Ask NVIDIA's management library and print the answer as one JSON object.

A program of its own, `python -I -S nvml.py`: a driver that hangs or crashes takes nobody along. The library comes
with the driver, so nothing is installed for it; the functions and structures are those of nvml.h, whose names have
been stable since version 2 (https://docs.nvidia.com/deploy/nvml-api). Imports nothing of Nutshell.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

_LIBRARIES = (
    "libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "nvml.dll",
    os.path.join(os.environ.get("PROGRAMW6432", ""), "NVIDIA Corporation", "NVSMI", "nvml.dll"),
)
_TEXT_BYTES = 96  # NVML_DEVICE_NAME_V2_BUFFER_SIZE


class Memory(ctypes.Structure):
    """nvmlMemory_t"""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Failed(Exception):
    """NVML said no."""


def answer() -> dict[str, Any]:
    """driver: version; cuda: 12040 for 12.4, what the driver supports; devices: one each, bytes and [major, minor].

    missing: True if the library is not there; error: what went wrong.
    """
    library = _open()
    if library is None:
        return {"missing": True, "error": "the NVIDIA driver's library (NVML) is not installed"}
    try:
        _call(library, "nvmlInit_v2")
        driver = _text(library, "nvmlSystemGetDriverVersion")
        cuda = ctypes.c_int()
        _call(library, "nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda))
        count = ctypes.c_uint()
        _call(library, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        return {"driver": driver, "cuda": cuda.value, "devices": [_device(library, i) for i in range(count.value)]}
    except (Failed, AttributeError) as error:
        return {"missing": False, "error": str(error)}


def _device(library: ctypes.CDLL, index: int) -> dict[str, Any]:
    handle = ctypes.c_void_p()
    _call(library, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    found: dict[str, Any] = {"name": _text(library, "nvmlDeviceGetName", handle)}
    memory, major, minor = Memory(), ctypes.c_int(), ctypes.c_int()
    # A device with memory of the system's own (Grace, Jetson) has no figure here.
    try:
        _call(library, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
        found |= {"total": memory.total, "free": memory.free}
    except Failed:
        found |= {"total": None, "free": None}
    arguments = (handle, ctypes.byref(major), ctypes.byref(minor))
    _call(library, "nvmlDeviceGetCudaComputeCapability", *arguments)
    return {**found, "capability": [major.value, minor.value]}


def _open() -> ctypes.CDLL | None:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _call(library: ctypes.CDLL, name: str, *arguments: Any) -> None:
    code = getattr(library, name)(*arguments)
    if code:
        library.nvmlErrorString.restype = ctypes.c_char_p
        raise Failed(library.nvmlErrorString(ctypes.c_int(code)).decode("utf-8", "replace"))


def _text(library: ctypes.CDLL, name: str, *arguments: Any) -> str:
    text = ctypes.create_string_buffer(_TEXT_BYTES)
    _call(library, name, *arguments, text, ctypes.c_uint(_TEXT_BYTES))
    return text.value.decode("utf-8", "replace")


if __name__ == "__main__":
    json.dump(answer(), sys.stdout)
