"""The cards there are: those that come with the program, and over them the user's own."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path

from nutshell.catalogue.card import ModelCard
from nutshell.errors import ModelError, ModelNotFound, UsageError, os_reason
from nutshell.language import Text, tr
from nutshell.settings import beside_config, resolve

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_CARD = 1_000_000  # bytes
_LOG = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, ModelCard]:
    """Every card that comes with the program, by name."""
    found = {}
    for file in sorted((resources.files("nutshell.catalogue") / "cards").iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = ModelCard.read(name, tomllib.loads(file.read_text("utf-8")))
    check_bases(found)
    return found


def check_bases(found: Mapping[str, ModelCard]) -> None:
    """Raise ModelError for a card whose base is not there, or shares parts itself."""
    for each in found.values():
        if each.base and (each.base not in found or found[each.base].base or not found[each.base].folder):
            raise ModelError(
                tr("the card {name!r}: its base {base!r} is no whole built-in model", name=each.name, base=each.base)
            )


def read_card(path: Path) -> ModelCard:
    """One of the user's cards. Raises ModelError naming the file; never trusts it to be small, text or TOML."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_CARD + 1)
        if len(raw) > LARGEST_CARD:
            raise ModelError(tr("{path} is too large for a card", path=path))
        card = ModelCard.read(path.stem, tomllib.loads(raw.decode("utf-8-sig")))
        if card.folder or card.base:
            raise ModelError(
                tr("the card {name!r}: folder and base are for built-in models", name=card.name), tr("use path instead")
            )
    except OSError as error:
        raise ModelError(
            tr("{path} cannot be read: {reason}", path=path, reason=os_reason(error)),
            tr("check its permissions"),
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(tr("{path} is not UTF-8 text", path=path), tr("save it as UTF-8")) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ModelError(
            tr("{path} is not valid TOML: {error}", path=path, error=error), tr('text stands in quotes: title = "..."')
        ) from error
    except ModelError as error:
        hint = error.hint or tr("docs/reference/cards.md lists every key")
        named = str(path) in error.message
        raise ModelError(error.message if named else tr("{path}: {error}", path=path, error=error), hint) from error
    return card if not card.path else card.replace(path=str(path.parent / Path(card.path).expanduser()))


def own_cards(folder: Path | None) -> tuple[Mapping[str, ModelCard], tuple[ModelError, ...]]:
    """The cards in the user's folder by name, and what is wrong with those that cannot be used."""
    found: dict[str, ModelCard] = {}
    wrong: list[ModelError] = []
    if folder is None:
        return found, ()
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return found, ()
    except OSError as error:
        return found, (
            ModelError(
                tr("{folder} cannot be read: {reason}", folder=folder, reason=os_reason(error)),
                tr("check its permissions"),
            ),
        )
    for path in files:
        try:
            found[path.stem] = read_card(path)
        except ModelError as error:
            wrong.append(error)
    return found, tuple(wrong)


def own_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """Where the user's cards lie: the setting `cards`, else beside config.toml. Raises UsageError as settings do."""
    environment = os.environ if environment is None else environment
    named: Path | None = resolve({}, environment)["cards"]
    return named or beside_config("cards", environment)


def cards(folder: Path | None = None) -> Mapping[str, ModelCard]:
    """Every card by name, ours first; one of the user's takes the place of ours. folder: None for the usual one.

    A broken card of the user's, and one with the name of a built-in model, is left out and told in the log, once.
    """
    ours, (own, wrong) = shipped(), own_cards(folder or _usual_folder())
    for error in wrong:
        _tell(tr("a model card is left out: {error}", error=error))
    for name in own:
        if name in ours and ours[name].folder:
            _tell(
                tr(
                    "your model card {name!r} is left out: a built-in model has that name; give the card another one",
                    name=name,
                )
            )
    return {**ours, **{name: card for name, card in own.items() if name not in ours or not ours[name].folder}}


def card(name: str, folder: Path | None = None) -> ModelCard:
    """The card of that name. Raises ModelNotFound with the names there are."""
    known = cards(folder)
    try:
        return known[name]
    except KeyError:
        raise ModelNotFound(
            tr("there is no model named {name!r}", name=name), tr("known: {known}", known=", ".join(known))
        ) from None


def _usual_folder() -> Path | None:
    try:
        return own_folder()
    except UsageError as error:
        # The command line has said this before; a program that uses the library gets the models that ship.
        _tell(tr("your own model cards are left out: {error}", error=error))
        return None


@lru_cache(maxsize=64)
def _tell(message: Text) -> None:
    _LOG.warning(message)
