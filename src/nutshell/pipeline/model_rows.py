"""The models that draw pictures, with what to expect of each on this machine: for lists, menus and the service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutshell.catalogue import ModelCard, cards
from nutshell.errors import NutshellError, UsageError
from nutshell.language import Text, tr
from nutshell.pipeline.outlook import VERDICTS, Outlook, Wish, outlook
from nutshell.plan import Planner
from nutshell.settings import Settings
from nutshell.store import Found, find, installed
from nutshell.store.find import download_size
from nutshell.store.manifest import origin_text
from nutshell.store.places import Place, Places, opened, plain_models

HERE = tr("here")
UNKNOWN = tr("unknown")


@dataclass(frozen=True)
class Listed:
    """A model by its name. title: a card's, or a Text that may hold a path. found: its files; None if not here."""

    name: str
    title: str
    licence: str
    card: ModelCard | None
    found: Found | None


@dataclass(frozen=True)
class Row:
    """One model of the list. title: a card's, or a Text. download: its size, or a Text."""

    name: str
    title: str
    licence: str
    commercial: bool | None
    installed: bool
    download: str
    download_bytes: int | None
    outlook: Outlook


def model_rows(planner: Planner, settings: Settings) -> list[Row]:
    """Every model there is, best first. Nothing is fetched or loaded."""
    places = Places.of(settings)
    return best_first([*known(planner, places, Wish(settings["size"], settings["steps"])), *others(planner, places)])


def known(planner: Planner, places: Places, wish: Wish) -> Iterator[Row]:
    """The models that have a card and draw pictures."""
    for listed in with_card(places):
        card = listed.card
        assert card is not None, "it was listed by its card"
        here = listed.found is not None
        text = HERE if here else download_size(card) or UNKNOWN
        expected = outlook(card, planner, listed.found, wish)
        yield Row(card.name, card.title, card.licence, card.commercial, here, text, card.download_bytes, expected)


def others(planner: Planner, places: Places) -> Iterator[Row]:
    """What has no card: fetched from any repository, or folders and files in the user's own folder and on sticks."""
    for listed in without_card(places):
        expected = outlook(None, planner, listed.found)
        yield Row(listed.name, listed.title, listed.licence, None, True, HERE, None, expected)


def with_card(places: Places) -> Iterator[Listed]:
    """The models that have a card and draw pictures, whether they are here or not. Quick: no file is opened."""
    for card in cards().values():
        if card.kind != "text-to-image":
            continue
        try:
            found = find(card.name, places) if installed(card, places) else None
        except NutshellError:
            found = None
        yield Listed(card.name, card.title, card.licence, card, found)


def without_card(places: Places) -> Iterator[Listed]:
    """What has no card and is here. Quick. Raises UsageError where the user's own folder of models is not there."""
    if places.yours is not None and not places.yours.is_dir():
        raise UsageError(
            tr("there is no folder of models {folder}", folder=places.yours), tr("correct --models, or NUTSHELL_MODELS")
        )
    seen = set(cards())
    for place in places:
        for name, path, title, licence in (*_stored(place), *_plain(place)):
            if name not in seen:
                seen.add(name)
                yield Listed(name, title, licence, None, Found(path))


def _stored(place: Place) -> Iterator[tuple[str, Path, Text, str]]:
    """(name, path, title, licence) of the models of a store; those that are damaged are left to `nutshell list`."""
    store = place.store
    if store is None:
        return
    for name, manifest in store.manifests().items():
        if store.is_whole(name):
            origin = origin_text(manifest.source, manifest.revision) or str(place.folder)
            yield name, opened(store, name), tr("from {source}", source=origin), manifest.licence


def _plain(place: Place) -> Iterator[tuple[str, Path, Text, str]]:
    """(name, path, title, licence) of model folders and single files as one downloads them."""
    if place.kind == "store":
        return
    for path in plain_models(place.folder):
        mine = place.kind == "yours"
        title = tr("yours: {path}", path=path) if mine else tr("on a removable drive: {path}", path=path)
        yield path.name, path, title, ""


def best_first(rows: Sequence[Row]) -> list[Row]:
    """By verdict; then the larger model, which draws better; then the quicker one."""

    def rank(row: Row) -> tuple[Any, ...]:
        seconds = row.outlook.plan.picture_seconds if row.outlook.plan else 0.0
        return VERDICTS.index(row.outlook.verdict), -row.outlook.parameters, seconds, row.name

    return sorted(rows, key=rank)
