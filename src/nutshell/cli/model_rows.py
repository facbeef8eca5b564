"""The models that draw pictures, with what to expect of each on this machine: for `nutshell models` and the menu."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.language import Text, tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.pipeline.outlook import Outlook
    from nutshell.plan import Planner
    from nutshell.store.places import Place, Places

HERE = tr("here")
UNKNOWN = tr("unknown")


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
    from nutshell.pipeline.outlook import Wish
    from nutshell.store.places import Places

    places = Places.of(settings)
    return best_first([*known(planner, places, Wish(settings["size"], settings["steps"])), *others(planner, places)])


def known(planner: Planner, places: Places, wish: Any) -> Iterator[Row]:
    """The models that have a card and draw pictures."""
    from nutshell.catalogue import cards
    from nutshell.errors import NutshellError
    from nutshell.pipeline.outlook import outlook
    from nutshell.store import find, installed
    from nutshell.store.find import download_size

    for card in cards().values():
        if card.kind != "text-to-image":
            continue
        try:
            here = installed(card, places)
            found = find(card.name, places) if here else None
        except NutshellError:
            here, found = False, None
        text = HERE if here else download_size(card) or UNKNOWN
        expected = outlook(card, planner, found, wish)
        yield Row(card.name, card.title, card.licence, card.commercial, here, text, card.download_bytes, expected)


def others(planner: Planner, places: Places) -> Iterator[Row]:
    """What has no card: fetched from any repository, or folders and files in the user's own folder and on sticks."""
    from nutshell.catalogue import cards
    from nutshell.errors import UsageError
    from nutshell.pipeline.outlook import outlook
    from nutshell.store import Found

    if places.yours is not None and not places.yours.is_dir():
        raise UsageError(
            tr("there is no folder of models {folder}", folder=places.yours), tr("correct --models, or NUTSHELL_MODELS")
        )
    seen = set(cards())
    for place in places:
        for name, path, title, licence in (*_stored(place), *_plain(place)):
            if name not in seen:
                seen.add(name)
                yield Row(name, title, licence, None, True, HERE, None, outlook(None, planner, Found(path)))


def _stored(place: Place) -> Iterator[tuple[str, Path, Text, str]]:
    """(name, path, title, licence) of the models of a store; those that are damaged are left to `nutshell list`."""
    from nutshell.cli.fetching import origin_text
    from nutshell.store.places import opened

    store = place.store
    if store is None:
        return
    for name, manifest in store.manifests().items():
        if store.is_whole(name):
            origin = origin_text(manifest.source, manifest.revision) or str(place.folder)
            yield name, opened(store, name), tr("from {source}", source=origin), manifest.licence


def _plain(place: Place) -> Iterator[tuple[str, Path, Text, str]]:
    """(name, path, title, licence) of model folders and single files as one downloads them."""
    from nutshell.store.places import plain_models

    if place.kind == "store":
        return
    for path in plain_models(place.folder):
        mine = place.kind == "yours"
        title = tr("yours: {path}", path=path) if mine else tr("on a removable drive: {path}", path=path)
        yield path.name, path, title, ""


def best_first(rows: Sequence[Row]) -> list[Row]:
    """By verdict; then the larger model, which draws better; then the quicker one."""
    from nutshell.pipeline.outlook import VERDICTS

    def rank(row: Row) -> tuple[Any, ...]:
        seconds = row.outlook.plan.picture_seconds if row.outlook.plan else 0.0
        return VERDICTS.index(row.outlook.verdict), -row.outlook.parameters, seconds, row.name

    return sorted(rows, key=rank)
