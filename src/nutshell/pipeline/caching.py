"""Whether compiled networks are kept on this machine, and where."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from nutshell import user_folders
from nutshell.engines.compile_cache import CompileCache
from nutshell.language import Text, tr
from nutshell.machine import Machine
from nutshell.machine.mounts import RAM_FILESYSTEMS

_LOG = logging.getLogger(__name__)
NAME = "compiled"


def open_cache(limit_bytes: int, machine: Machine, environment: Mapping[str, str] | None = None) -> CompileCache | None:
    """The user's cache of compiled networks. limit_bytes: the most that it may take; 0 for none.

    None too, and the log says why, where there is no folder for it, or one that lies in memory or cannot be written:
    there it would take what it is to save.
    """
    if not limit_bytes:
        return None
    folder = cache_folder(environment)
    reason = tr("there is no home folder") if folder is None else _unfit(folder, machine)
    if folder is None or reason is not None:
        _LOG.warning(tr("compiled networks are not kept: {reason}", reason=reason))
        return None
    return CompileCache(folder, limit_bytes)


def cache_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """Where it lies. NUTSHELL_CONFIG moves it beside that file, and empty leaves it out, as it does the settings."""
    environment = os.environ if environment is None else environment
    named = environment.get("NUTSHELL_CONFIG")
    if named is not None:
        return Path(named).expanduser().absolute().parent / "cache" / NAME if named else None
    folder = user_folders.cache_folder(environment)
    return folder / NAME if folder is not None else None


def _unfit(folder: Path, machine: Machine) -> Text | None:
    """Why a folder is none for it; None if it is."""
    disk = machine.disk_of(folder)
    if machine.system.live or machine.memory.root_in_ram or (disk is not None and disk.filesystem in RAM_FILESYSTEMS):
        return tr("{folder} lies in memory", folder=folder)
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    if (disk is not None and disk.read_only) or not os.access(existing, os.W_OK):
        return tr("{folder} cannot be written", folder=folder)
    return None
