"""Removable drives and the folder `nutshell-models/` on them, found in milliseconds.

Only the system's own tables are read, and only mount points of removable drives are looked at: to look at a dead
network mount would hang for minutes.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nutshell.store.local import STICK_FOLDER

_FILE_SYSTEMS = {
    *("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "ext2", "ext3", "ext4", "btrfs", "xfs", "f2fs"),
    *("hfsplus", "apfs", "iso9660", "udf", "squashfs"),
}
_DRIVE_REMOVABLE = 2  # https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getdrivetypew


def sticks() -> tuple[Path, ...]:
    """Every folder `nutshell-models/` at the root of a removable drive."""
    drives: Callable[[], Iterable[Path]] = {"darwin": mac_drives, "win32": windows_drives}.get(
        sys.platform, linux_drives
    )
    found = []
    for drive in drives():
        # A stick may be pulled out at any moment.
        with contextlib.suppress(OSError):
            if (drive / STICK_FOLDER).is_dir():
                found.append(drive / STICK_FOLDER)
    return tuple(found)


def linux_drives(mounts: Path = Path("/proc/mounts"), blocks: Path = Path("/sys/class/block")) -> Iterator[Path]:
    """Mount points of removable drives and of those on USB, from the kernel's tables."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        device, place, kind = (*line.split(" "), "", "", "")[:3]
        if device.startswith("/dev/") and kind in _FILE_SYSTEMS and _removable(blocks / Path(device).name):
            # Blanks and backslashes stand as octal numbers (getmntent(3)).
            yield Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), place))


def _removable(block: Path) -> bool:
    """Whether a drive, or the drive that a partition is of, is removable. A disk in a USB case says it is not."""
    with contextlib.suppress(OSError):
        real = Path(os.path.realpath(block))
        if any(part.startswith("usb") for part in real.parts):
            return True
        for folder in (real, real.parent):
            if (folder / "removable").is_file():
                return (folder / "removable").read_text().strip() == "1"
    return False


def mac_drives(table: Callable[[], str] | None = None) -> Iterator[Path]:
    """Local volumes below /Volumes, from `mount`, which asks no file system."""
    for line in (table or _mac_mounts)().splitlines():
        match = re.fullmatch(r"/dev/\S+ on (/Volumes/.+) \(([^()]*)\)", line)
        if match and "local" in match[2].split(", "):
            yield Path(match[1])


def _mac_mounts() -> str:
    try:
        return subprocess.run(["/sbin/mount"], capture_output=True, encoding="utf-8", timeout=1).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def windows_drives() -> Iterator[Path]:
    """Drive letters that Windows calls removable."""
    import ctypes

    # Only Windows has it.
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009
    kernel.SetErrorMode(1)  # SEM_FAILCRITICALERRORS: no box that asks for a medium
    letters = kernel.GetLogicalDrives()
    for number in range(26):
        root = f"{chr(ord('A') + number)}:\\"
        if letters >> number & 1 and kernel.GetDriveTypeW(root) == _DRIVE_REMOVABLE:
            yield Path(root)
