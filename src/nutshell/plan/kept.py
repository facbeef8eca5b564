"""Small files of figures in the user's state folder. Losing one costs an estimate, so nothing here ever fails a run."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nutshell import user_folders
from nutshell.errors import OutputError
from nutshell.files import write_bytes

_LARGEST_FILE = 1_000_000  # bytes


def state_folder(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path | None:
    """Where programs keep what they noted: XDG_STATE_HOME, LOCALAPPDATA, or ~/Library. None where there is no home.

    NUTSHELL_CONFIG moves it beside that file, and empty leaves it out, as it does the settings.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("NUTSHELL_CONFIG")
    if named is not None:
        return Path(named).expanduser().parent / "state" if named else None
    return user_folders.state_folder(environment, platform)


def read_table(path: Path | None) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none, or a broken one."""
    if path is None:
        return {}
    try:
        with path.open("rb") as stream:
            table = json.loads(stream.read(_LARGEST_FILE))
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


def write_table(path: Path | None, table: Mapping[str, Any]) -> bool:
    """Write it whole or not at all; False where that cannot be done (a read-only disk, a full one)."""
    if path is None:
        return False
    with contextlib.suppress(OSError, OutputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, (json.dumps(table, indent=1, sort_keys=True) + "\n").encode())
        return True
    return False


def positive(value: Any) -> float | None:
    """A number above 0 from a file that anybody may have edited."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 < value < 1e18 else None
