"""From what a user typed to what is fetched and where from: a card's name, `hf:owner/name[@revision]`, `ms:...`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nutshell.catalogue import ModelCard, Source
from nutshell.errors import ModelNotFound, UsageError
from nutshell.language import tr
from nutshell.settings import Settings
from nutshell.store.hubs import HuggingFace, ModelScope
from nutshell.store.local import OtherStore, open_folder
from nutshell.store.names import check_name
from nutshell.store.peer import Peer
from nutshell.store.places import Places
from nutshell.store.pull import Origin, Wanted
from nutshell.store.web import Web

PREFIXES = {"hf": "huggingface", "ms": "modelscope"}


@dataclass(frozen=True)
class Wish:
    """wanted: the model. sources: repositories that hold it, preferred first."""

    wanted: Wanted
    sources: tuple[Source, ...]


def read_wish(text: str, cards: Mapping[str, ModelCard], *, elsewhere: bool = False) -> Wish:
    """Raises ModelNotFound, UsageError. elsewhere: there is a folder to fetch from, so any name will do."""
    prefix, colon, rest = text.partition(":")
    if colon:
        if prefix not in PREFIXES:
            raise UsageError(tr("{text!r} is no model", text=text), tr("write a name, hf:owner/name or ms:owner/name"))
        repo, _, revision = rest.partition("@")
        try:
            table = {"hub": PREFIXES[prefix], "repo": repo, **({"revision": revision} if revision else {})}
            return Wish(Wanted(check_name(text)), (Source.read(table),))
        except ValueError as error:
            raise UsageError(
                tr("{text!r} is no model: {error}", text=text, error=error),
                tr("write hf:owner/name or hf:owner/name@revision"),
            ) from error
    card = cards.get(text)
    if card is not None and card.folder:
        raise UsageError(
            tr("{text} comes with the program, so there is nothing to fetch", text=text),
            tr('nutshell "..." --model {text}', text=text),
        )
    if card is not None and (card.sources or elsewhere):
        return Wish(Wanted(check_name(text), card.files, card.licence), card.sources)
    if card is not None:
        raise UsageError(
            tr("the card {text} names no repository to fetch it from", text=text), tr("name a folder with --from")
        )
    if elsewhere:
        return Wish(Wanted(check_name(text)), ())
    close = difflib.get_close_matches(text, cards, 1)
    hint = tr("nutshell models lists the names; hf:owner/name is any repository")
    if close:
        hint = tr("did you mean {name}?", name=close[0])
    raise ModelNotFound(tr("there is no model named {text!r}", text=text), hint)


def origins(
    wish: Wish, settings: Settings, web: Web, *, folder: Path | None = None, stick: Iterable[Path] = ()
) -> list[Origin]:
    """Where to fetch from, nearest first. folder: nowhere but there (`--from`)."""
    name = wish.wanted.name
    if folder is not None:
        return [open_folder(folder, name)]
    found: list[Origin] = [OtherStore(each, name) for each in stick if (each / "manifests").is_dir()]
    found += [Peer(web, url, name) for url in settings["peers"]]
    ordered = sorted(wish.sources, key=lambda source: source.hub != settings["hub"])
    return found + [_hub(source, settings, web) for source in ordered]


def _hub(source: Source, settings: Settings, web: Web) -> Origin:
    if source.hub == "huggingface":
        return HuggingFace(web, source.repo, source.revision, settings["hf_endpoint"], settings["hf_token"])
    return ModelScope(web, source.repo, source.revision, settings["ms_endpoint"])


def own_store(places: Places) -> Path:
    """The folder of the store. Raises UsageError where there is none."""
    if places.store is None:
        raise UsageError(
            tr("there is no home folder to keep models in"), tr("name a folder with --store, or NUTSHELL_STORE")
        )
    return places.store
