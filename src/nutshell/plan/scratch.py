"""Where weights that are made for a run may lie: on a disk, never in memory that they are to spare."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nutshell import user_folders
from nutshell.machine import Machine
from nutshell.machine.mounts import RAM_FILESYSTEMS

NAME = "scratch"


def scratch_folder(machine: Machine, environment: Mapping[str, str] | None = None) -> Path | None:
    """In the user's cache folder; None where there is none, or it lies in memory or cannot be written.

    NUTSHELL_CONFIG moves it beside that file, and empty leaves it out, as it does the settings.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("NUTSHELL_CONFIG")
    if named is None:
        base = user_folders.cache_folder(environment)
    else:
        base = Path(named).expanduser().absolute().parent / "cache" if named else None
    if base is None or machine.system.live or machine.memory.root_in_ram:
        return None
    disk = machine.disk_of(base)
    if disk is not None and (disk.filesystem in RAM_FILESYSTEMS or disk.read_only):
        return None
    existing = next((parent for parent in (base, *base.parents) if parent.exists()), base)
    return base / NAME if os.access(existing, os.W_OK) else None
