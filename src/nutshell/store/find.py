"""From what a user typed to the files of a model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nutshell.catalogue import ModelCard, cards
from nutshell.errors import ModelNotFound


@dataclass(frozen=True)
class Found:
    """Where a model lies. base: the folder of the model whose parts it shares. card: None for a user's own."""

    path: Path
    base: Path | None = None
    card: ModelCard | None = None


def builtin_folder() -> Path:
    """The models that come with the program."""
    return Path(__file__).parents[1] / "builtin"


def find(model: str | Path, folders: tuple[Path, ...] = ()) -> Found:
    """The folder or file of `model`: a card's name, a path, or a name in one of `folders`.

    Raises ModelNotFound, which tells a mistyped name from a path that is not there.
    """
    text = os.fspath(model)
    known = cards()
    if text in known and known[text].folder:
        card = known[text]
        base = builtin_folder() / known[card.base].folder if card.base else None
        return Found(builtin_folder() / card.folder, base, card)
    if text in known and known[text].path:
        return _own(known[text])
    path = Path(text).expanduser()
    for candidate in (path, *(folder / text for folder in folders)):
        if candidate.exists():
            return Found(candidate)
    if os.sep in text or path.suffix:
        raise ModelNotFound(f"there is no file or folder {text}", "check the path")
    raise ModelNotFound(
        f"there is no model named {text!r}", f"use {', '.join(known)}, a model folder, or a .safetensors file"
    )


def _own(card: ModelCard) -> Found:
    """What a card of the user's points to."""
    path = Path(card.path)
    if not path.exists():
        raise ModelNotFound(
            f"the card {card.name!r} points to {path}, and nothing is there",
            f"put it back, or name its new place: nutshell add FILE --name {card.name} --replace",
        )
    return Found(path, None, card)


def installed(card: ModelCard) -> bool:
    """Whether a card's files are on this machine, the shared ones too."""
    if not card.folder:
        return bool(card.path) and Path(card.path).exists()
    found = find(card.name)
    return found.path.is_dir() and ((found.base or found.path) / "model_index.json").is_file()
