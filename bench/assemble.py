"""One whole folder of a model that shares parts with another, for those who know no such thing."""

from __future__ import annotations

import shutil
from pathlib import Path

from nutshell.store import Found


def assemble(found: Found, folder: Path) -> Path:
    """Copy the base to `folder`, its parts replaced by the model's own; anew each time. A whole model stays put."""
    if found.base is None:
        return found.path
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(found.base, folder)
    for part in found.path.iterdir():
        if part.is_dir():
            shutil.rmtree(folder / part.name, ignore_errors=True)
            shutil.copytree(part, folder / part.name)
    return folder
