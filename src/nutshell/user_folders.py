"""Where each platform keeps a program's files for one user: XDG on Linux, Application Support, AppData.

The folders need not exist; None where there is no home folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

Environment = Mapping[str, str]


def config_folder(environment: Environment, platform: str = sys.platform) -> Path | None:
    """For what the user writes."""
    return _folder(environment, platform, "APPDATA", "XDG_CONFIG_HOME", ".config")


def data_folder(environment: Environment, platform: str = sys.platform) -> Path | None:
    """For what a program gathers for its user."""
    return _folder(environment, platform, "LOCALAPPDATA", "XDG_DATA_HOME", ".local/share")


def state_folder(environment: Environment, platform: str = sys.platform) -> Path | None:
    """For what a program noted."""
    return _folder(environment, platform, "LOCALAPPDATA", "XDG_STATE_HOME", ".local/state")


def cache_folder(environment: Environment, platform: str = sys.platform) -> Path | None:
    """For what can be made anew."""
    if platform == "darwin":
        home = environment.get("HOME")
        return Path(home, "Library", "Caches", "nutshell") if home else None
    folder = _folder(environment, platform, "LOCALAPPDATA", "XDG_CACHE_HOME", ".cache")
    # Windows has one folder for all that stays on the machine.
    return folder / "cache" if folder is not None and platform == "win32" else folder


def _folder(environment: Environment, platform: str, windows: str, xdg: str, below_home: str) -> Path | None:
    home = environment.get("HOME")
    if platform == "win32":
        base = environment.get(windows)
    elif platform == "darwin":
        base = home and f"{home}/Library/Application Support"
    else:
        base = environment.get(xdg) or (home and f"{home}/{below_home}")
    return Path(base, "nutshell") if base else None
