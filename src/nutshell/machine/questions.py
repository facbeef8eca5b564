"""What is asked of the system through libraries, because no file or short command tells it.

Each answer is of plain JSON types, so that it can be recorded. A question raises what it likes:
`ThisComputer.ask` turns it into Unreadable.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nutshell.language import tr
from nutshell.machine.source import Unreadable, brief


def affinity(_: str) -> list[int]:
    """The logical processors that this process may run on."""
    if not hasattr(os, "sched_getaffinity"):
        raise Unreadable(tr("this system has no processor affinity"))
    return sorted(os.sched_getaffinity(0))


def cores(_: str) -> dict[str, int | None]:
    """Physical and logical processors of the machine."""
    import psutil

    try:
        physical = psutil.cpu_count(logical=False)
    except OSError:  # It reads /proc/cpuinfo, which is not there either if we are asked this on Linux.
        physical = None
    return {"physical": physical, "logical": os.cpu_count()}


def memory(_: str) -> dict[str, int]:
    """Bytes of memory and swap, where there is no /proc/meminfo."""
    import psutil

    main, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "total": int(main.total),
        "available": int(main.available),
        "swap_total": int(swap.total),
        "swap_free": int(swap.free),
    }


def physical_bytes(_: str) -> int:
    """Bytes of memory by the C library, which asks the kernel and reads no file."""
    if sys.platform == "win32":
        raise Unreadable(tr("Windows has no sysconf"))
    return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))


def own_bytes(_: str) -> int:
    """Resident memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def usage(mount: str) -> dict[str, int]:
    """Bytes of the file system at `mount`, and what an ordinary user may still write there."""
    total, _, free = shutil.disk_usage(mount)
    return {"total": total, "free": free}


def partitions(_: str) -> list[dict[str, str]]:
    """Mounted disks, where there is no /proc/mounts."""
    import psutil

    return [
        {"device": part.device, "mount": part.mountpoint, "filesystem": part.fstype, "options": part.opts}
        for part in psutil.disk_partitions(all=False)
    ]


def system(_: str) -> dict[str, Any]:
    """Names and versions of the system and of Python, and the clock in Unix seconds."""
    return {
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "version": platform.version(),
        "macos": platform.mac_ver()[0] if sys.platform == "darwin" else "",
        "python": platform.python_version(),
        "python_bits": 8 * struct.calcsize("P"),
        "clock_seconds": time.time(),
    }


def nvml(seconds: str) -> dict[str, Any]:
    """NVIDIA's management library, asked in a process of its own: see `nutshell.machine.nvml`."""
    limit = float(seconds)
    script = Path(__file__).with_name("nvml.py")
    command = [sys.executable, "-I", "-S", str(script)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, complaint = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Unreadable(tr("{what} did not answer within {seconds:g} s", what="NVML", seconds=limit)) from None
    if process.returncode:
        last = brief((complaint.decode("utf-8", "replace").strip().splitlines() or [""])[-1])
        if not last:
            raise Unreadable(tr("NVML failed with exit code {code}", code=process.returncode))
        raise Unreadable(tr("NVML failed with exit code {code} {said}", code=process.returncode, said=last))
    answer: dict[str, Any] = json.loads(output)
    return answer


def numpy_features(_: str) -> list[str]:
    """Instruction sets by the names NumPy gives them. It looks (cpuid, xgetbv) before it starts, and is needed anyway;
    the table is what `numpy.show_runtime` prints."""
    found = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    return sorted(name for name, here in found.items() if here)


def windows_cpu(_: str) -> dict[str, str]:
    """Model and maker of the processor in the registry."""
    if sys.platform != "win32":
        raise Unreadable(tr("not Windows"))
    import winreg

    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
        values = {name: winreg.QueryValueEx(key, name)[0] for name in ("ProcessorNameString", "VendorIdentifier")}
    return {"model": values["ProcessorNameString"], "vendor": values["VendorIdentifier"]}


def display_adapters(_: str) -> list[dict[str, Any]]:
    """Windows' display adapters: name, driver version, device id and bytes of memory of their own.

    From the registry's class of display adapters, for WMI's AdapterRAM stops at 4 GB.
    """
    if sys.platform != "win32":
        raise Unreadable(tr("not Windows"))
    import winreg

    adapters = []
    where = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
    wanted = {
        "name": "DriverDesc",
        "driver": "DriverVersion",
        "device": "MatchingDeviceId",
        "memory": "HardwareInformation.qwMemorySize",
    }
    for number in range(16):
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"{where}\{number:04d}") as key:
                adapter: dict[str, Any] = {}
                for field, name in wanted.items():
                    try:
                        adapter[field] = winreg.QueryValueEx(key, name)[0]
                    except OSError:
                        adapter[field] = None
                adapters.append(adapter)
        except OSError:
            continue
    return adapters


QUESTIONS: dict[str, Callable[[str], Any]] = {
    question.__name__: question
    for question in (
        *(affinity, cores, memory, physical_bytes, own_bytes, usage, partitions, system),
        *(nvml, numpy_features, windows_cpu, display_adapters),
    )
}
