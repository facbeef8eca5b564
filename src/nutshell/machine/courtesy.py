"""Giving way to other programs: this process computes, and reads its files, when nobody else wants to.

Each system has its own words for it. There is no way back without privileges, so it is for whole processes only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

NICEST = 19

# linux/ioprio.h: whose priority (that of one thread), and the class that reads when nobody else does.
_WHO_PROCESS = 1
_IDLE_CLASS = 3 << 13
# The number of ioprio_set by family and bits of the process, which no C library names (ioprio_set(2)).
_IOPRIO_SET = {
    ("x86", 64): 251,
    ("x86", 32): 289,
    ("arm", 64): 30,
    ("arm", 32): 314,
    ("riscv", 64): 30,
    ("loongarch", 64): 30,
    ("ppc", 64): 273,
    ("s390", 64): 282,
}
_FAMILIES = {"x86": "x86", "i": "x86", "aarch": "arm", "arm": "arm", "riscv": "riscv", "loong": "loongarch"} | {
    "ppc": "ppc",
    "s390": "s390",
}
# sys/resource.h of macOS: the policy for disks, of the whole process, throttled.
_IOPOL_TYPE_DISK, _IOPOL_SCOPE_PROCESS, _IOPOL_THROTTLE = 0, 0, 3


@dataclass(frozen=True)
class Courtesy:
    """What gives way: the processor, the disk."""

    processor: bool
    disk: bool


def be_polite(platform: str = sys.platform) -> Courtesy:
    """Lower the priority of this process, of its threads and of those to come, on the processor and on disks.

    What the system refuses stays as it is.
    """
    if platform == "linux":
        threads = [int(name) for name in os.listdir("/proc/self/task")]
        return Courtesy(_each(_nice, threads), _each(_idle_disk(), threads))
    if platform == "win32":
        return _windows(psutil.Process(), psutil)
    nice = _each(_nice, [0])
    return Courtesy(nice, platform == "darwin" and _throttled_disk(Path("/usr/lib/libSystem.B.dylib")))


def _each(do: Callable[[int], bool] | None, threads: Sequence[int]) -> bool:
    """Whether it could be done for each thread; one that has ended meanwhile needs nothing."""
    if do is None:
        return False
    done = [do(thread) for thread in threads]
    return all(done)


def _nice(thread: int) -> bool:
    try:
        # On Linux each thread has a priority of its own, and new ones take that of who made them.
        os.setpriority(os.PRIO_PROCESS, thread, NICEST)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return True


def _idle_disk() -> Callable[[int], bool] | None:
    number = ioprio_number(os.uname().machine, 64 if sys.maxsize > 2**32 else 32)
    if number is None:
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall

    def idle(thread: int) -> bool:
        if call(ctypes.c_long(number), _WHO_PROCESS, ctypes.c_int(thread), _IDLE_CLASS) == 0:
            return True
        return ctypes.get_errno() == 3  # ESRCH: the thread has ended.

    return idle


def ioprio_number(machine: str, bits: int) -> int | None:
    """The number of ioprio_set for a process of so many bits; None where it is not known."""
    family = next((name for start, name in _FAMILIES.items() if machine.startswith(start)), "")
    return _IOPRIO_SET.get((family, bits))


def _windows(process: Any, names: Any) -> Courtesy:
    """Not PROCESS_MODE_BACKGROUND_BEGIN, which would do all of it at once: it also keeps a process to 32 MB of
    resident memory, and everything else is paged in and out without end."""
    done = []
    for set_priority, value in ((process.nice, "IDLE_PRIORITY_CLASS"), (process.ionice, "IOPRIO_VERYLOW")):
        done.append(False)
        with contextlib.suppress(names.Error, OSError):
            set_priority(getattr(names, value))
            done[-1] = True
    return Courtesy(*done)


def _throttled_disk(library: Path) -> bool:
    """setiopolicy_np(3) of macOS."""
    try:
        set_policy = ctypes.CDLL(str(library)).setiopolicy_np
    except (OSError, AttributeError):
        return False
    return bool(set_policy(_IOPOL_TYPE_DISK, _IOPOL_SCOPE_PROCESS, _IOPOL_THROTTLE) == 0)
