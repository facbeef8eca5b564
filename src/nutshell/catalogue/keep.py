"""Cards that the program writes into the user's folder."""

from __future__ import annotations

from pathlib import Path

from nutshell.catalogue.card import ModelCard
from nutshell.catalogue.shelf import cards, own_folder
from nutshell.catalogue.write import card_text
from nutshell.errors import OutputError, UsageError, os_reason
from nutshell.files import write_bytes
from nutshell.language import tr

HINT = tr("name another folder with NUTSHELL_CARDS, or cards in config.toml")


def keep_card(card: ModelCard, folder: Path | None = None, *, replace: bool = False) -> Path:
    """Write a card, whole or not at all, and return its file. folder: None for the user's own.

    Raises UsageError where the name is taken, unless `replace`, and OutputError where the file cannot be written.
    """
    folder = folder or own_folder()
    if folder is None:
        raise UsageError(tr("there is no folder for model cards of your own"), HINT)
    known = cards(folder)
    if card.name in known and known[card.name].folder:
        raise UsageError(tr("a built-in model is named {name!r}", name=card.name), tr("choose another --name"))
    if not replace and card.name in known:
        raise UsageError(
            tr("there is a model named {name!r} already", name=card.name), tr("choose a --name, or add --replace")
        )
    path = folder / f"{card.name}.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, card_text(card).encode())
    except OSError as error:
        raise OutputError(
            tr("cannot make the folder {folder}: {reason}", folder=folder, reason=os_reason(error)), HINT
        ) from error
    except OutputError as error:
        raise OutputError(error.message, HINT) from error
    return path
