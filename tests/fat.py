"""A real file system of the kind that sticks have: case-insensitive, without links, rights or owners."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


class NoFat(Exception):
    """There is none here; the text says what it would take."""


@contextlib.contextmanager
def fat_disk(image: Path, folder: Path, megabytes: int) -> Iterator[None]:
    """Mount a new disk on `folder` (made if need be): FAT32 where the kernel has it, else exFAT by way of FUSE.

    Root only. Raises NoFat.
    """
    folder.mkdir(exist_ok=True)
    image.write_bytes(b"")
    os.truncate(image, megabytes << 20)
    with contextlib.ExitStack() as stack:
        try:
            _run("mkfs.vfat", "-F", "32", image)
            _run("mount", "-o", "loop,iocharset=utf8", image, folder)
        except (OSError, subprocess.CalledProcessError):
            _exfat(image, folder, stack)
        stack.callback(_run, "umount", folder)
        yield


def _exfat(image: Path, folder: Path, stack: contextlib.ExitStack) -> None:
    try:
        _run("mkfs.exfat", image)
        device = _run("losetup", "--find", "--show", image).strip()
        stack.callback(_run, "losetup", "--detach", device)
        _run("mount.exfat-fuse", device, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoFat(
            "this kernel mounts no FAT, and there is no exFAT by FUSE "
            f"(/dev/fuse, /dev/loop*, Debian packages exfat-fuse and exfatprogs): {error}"
        ) from error


def _run(*words: str | Path) -> str:
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True).stdout
