"""From what a user typed to the files of a model."""

from __future__ import annotations

import os
from pathlib import Path

from nutshell.catalogue import cards
from nutshell.errors import ModelNotFound


def builtin_folder() -> Path:
    """The models that come with the program."""
    return Path(__file__).parents[1] / "builtin"


def find(model: str | Path, folders: tuple[Path, ...] = ()) -> Path:
    """The folder or file of `model`: a card's name, a path, or a name in one of `folders`.

    Raises ModelNotFound, which tells a mistyped name from a path that is not there.
    """
    text = os.fspath(model)
    known = cards()
    if text in known and known[text].folder:
        return builtin_folder() / known[text].folder
    path = Path(text).expanduser()
    for candidate in (path, *(folder / text for folder in folders)):
        if candidate.exists():
            return candidate
    if os.sep in text or path.suffix:
        raise ModelNotFound(f"there is no file or folder {text}", "check the path")
    raise ModelNotFound(
        f"there is no model named {text!r}", f"use {', '.join(known)}, a model folder, or a .safetensors file"
    )
