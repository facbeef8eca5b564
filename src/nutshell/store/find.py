"""From what a user typed to the files of a model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nutshell.catalogue import ModelCard, cards
from nutshell.errors import ModelNotFound
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from nutshell.store.places import Places


@dataclass(frozen=True)
class Found:
    """Where a model lies. base: the folder of the model whose parts it shares. card: None for a user's own."""

    path: Path
    base: Path | None = None
    card: ModelCard | None = None


def builtin_folder() -> Path:
    """The models that come with the program."""
    return Path(__file__).parents[1] / "builtin"


def find(model: str | Path | Found, places: Places | None = None) -> Found:
    """The folder or file of `model`: a card's name, a path, or the name of one in `places`.

    places: None for the usual ones: the folder NUTSHELL_MODELS, the store, removable drives. What was found before
    is given back. No connection is made: a model that is known and not here is told with the command to fetch it.
    Raises ModelNotFound, which tells a mistyped name from a path that is not there.
    """
    if isinstance(model, Found):
        return model
    text = os.fspath(model)
    known = cards()
    if text in known and known[text].folder:
        card = known[text]
        base = builtin_folder() / known[card.base].folder if card.base else None
        return Found(builtin_folder() / card.folder, base, card)
    if text in known and known[text].path:
        return _own(known[text])
    path = Path(text).expanduser()
    if path.exists() and not (text in known and not _is_model(path)):
        return Found(path)
    from nutshell.store.places import Places, look_up

    here = look_up(text, Places.usual() if places is None else places)
    if here is not None:
        return Found(here[0], None, known.get(text))
    if text in known:
        raise not_here(known[text])
    if text.startswith(("hf:", "ms:")):
        raise ModelNotFound(
            tr("{text} is not on this machine", text=text), tr("fetch it: nutshell pull {text}", text=text)
        )
    if os.sep in text or path.suffix:
        raise ModelNotFound(tr("there is no file or folder {text}", text=text), tr("check the path"))
    raise ModelNotFound(
        tr("there is no model named {text!r}", text=text),
        tr("use {known}, a model folder, or a .safetensors file", known=", ".join(known)),
    )


def not_here(card: ModelCard) -> ModelNotFound:
    """A model that has a card and no files on this machine."""
    if card.runnable:
        return ModelNotFound(
            tr(
                "{name} is not on this machine, and cannot run yet: {runnable}",
                name=card.name,
                runnable=Text(card.runnable),
            ),
            tr("nutshell models lists what can"),
        )
    size = download_size(card)
    here = tr("{name} is not on this machine", name=card.name)
    return ModelNotFound(
        tr("{here} ({size} to download)", here=here, size=size) if size else here,
        tr("fetch it: nutshell pull {name}", name=card.name),
    )


def download_size(card: ModelCard) -> Text | None:
    """`1.1 GB`; where the card does not say, what its parameters take in half and in single precision.

    None where it does not even tell those.
    """
    if card.download_bytes:
        return Text(_size(card.download_bytes))
    count = card.all_parameters
    # The rest of a model tells little without its denoiser, most of it by far.
    if not count or (card.kind == "text-to-image" and "unet" not in card.parameters):
        return None
    return tr("{least} to {most}", least=_size(2 * count), most=_size(4 * count))


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _is_model(path: Path) -> bool:
    """Whether a model lies there, and not some folder of pictures that has a model's name."""
    return path.is_file() or any((path / name).is_file() for name in ("model_index.json", "config.json"))


def _own(card: ModelCard) -> Found:
    """What a card of the user's points to."""
    path = Path(card.path)
    if not path.exists():
        raise ModelNotFound(
            tr("the card {name!r} points to {path}, and nothing is there", name=card.name, path=path),
            tr("put it back, or name its new place: nutshell add FILE --name {name} --replace", name=card.name),
        )
    return Found(path, None, card)


def installed(card: ModelCard, places: Places | None = None) -> bool:
    """Whether a card's files are on this machine, the shared ones too. places: as in `find`."""
    if card.folder:
        found = find(card.name)
        return found.path.is_dir() and ((found.base or found.path) / "model_index.json").is_file()
    if card.path:
        return Path(card.path).exists()
    from nutshell.store.places import Places, is_here

    return is_here(card.name, Places.usual() if places is None else places)
