"""Rules about the folders that are written to."""

from __future__ import annotations

from collections.abc import Iterator

from nutshell.machine.examination import Examination
from nutshell.machine.rules.finding import Finding, size

_FULL_BYTES = 200_000_000
_ALMOST_BYTES = 4_000_000_000
_TEMPORARY_BYTES = 500_000_000
_SLOW = 60e6
_FAT = ("vfat", "fat", "fat32", "msdos")


def models_folder(examination: Examination) -> Iterator[Finding]:
    """Room, permission, speed and format of where models are kept."""
    for folder in (folder for folder in examination.folders if folder.role == "models"):
        if not folder.writable:
            yield Finding("models-read-only", "limits", {"path": folder.existing})
        elif folder.free_bytes is not None and folder.free_bytes < _ALMOST_BYTES:
            values = {"free": size(folder.free_bytes), "path": folder.existing}
            if folder.free_bytes < _FULL_BYTES:
                yield Finding("models-disk-full", "limits", values)
            else:
                yield Finding("models-disk-almost-full", "limits", values)
        speed = folder.read_bytes_per_second
        if speed is not None and speed < _SLOW:
            values = {"speed": size(int(speed)), "seconds": f"{2e9 / max(speed, 1):.0f}"}
            yield Finding("models-slow", "note", values)
        disk = examination.machine.disk_of(folder.existing)
        if disk is not None and disk.filesystem in _FAT:
            yield Finding("models-fat", "note", {"filesystem": disk.filesystem})


def temporary_folder(examination: Examination) -> Iterator[Finding]:
    """Room and permission for temporary files."""
    for folder in (folder for folder in examination.folders if folder.role == "temporary"):
        if not folder.writable:
            yield Finding("temporary-read-only", "limits", {"path": folder.existing})
        elif folder.free_bytes is not None and folder.free_bytes < _TEMPORARY_BYTES:
            yield Finding("temporary-full", "limits", {"free": size(folder.free_bytes), "path": folder.existing})
        disk = examination.machine.disk_of(folder.existing)
        if disk is not None and disk.noexec:
            yield Finding("temporary-noexec", "note", {"path": folder.existing})
