"""`nutshell pull`: fetch models."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.report import note
from nutshell.cli.speech import one_line, say, words
from nutshell.language import Text, tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.catalogue import ModelCard
    from nutshell.store.places import Place, Places
    from nutshell.store.pull import Pulled
    from nutshell.store.web import Web

DESCRIPTION = tr(
    "Fetch models, or what is missing of them. Every file is held to its hash; when the command is broken off, it goes "
    "on where it was. A model is a name that `nutshell models` lists, or any repository: hf:owner/name or "
    "ms:owner/name, with @revision for another than the usual one."
)
EXAMPLES = """\
  nutshell pull bk-sdm-tiny
  nutshell pull hf:stabilityai/sd-turbo
  nutshell pull bk-sdm-tiny --from /media/stick
"""
MODEL_HELP = tr("a model's name, hf:owner/name or ms:owner/name")
FROM_HELP = tr("a folder or stick to copy from; no connection is made")
COPY_HELP = tr("copy a model that lies on a removable drive, instead of using it there")
UPDATE_HELP = tr("take what the source holds now, instead of what it held when the model was first fetched")
KEPT = tr("what was fetched is kept; the same command goes on from there")
ALL_HERE = tr("all of it was here")


def main(given: Sequence[str]) -> int:
    parser = make_parser("pull", DESCRIPTION, EXAMPLES)
    parser.add_argument("names", nargs="+", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--from", dest="folder", metavar="DIR", help=FROM_HELP)
    parser.add_argument("--copy", action="store_true", help=COPY_HELP)
    parser.add_argument("--update", action="store_true", help=UPDATE_HELP)
    add_settings(
        parser,
        *("store", "models", "sticks", "offline", "hub", "hf_endpoint", "ms_endpoint", "hf_token", "peers"),
        *("json", "quiet", "log_level"),
    )
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)

    folder = Path(arguments.folder).expanduser() if arguments.folder is not None else None
    fetch(arguments.names, settings, folder, copy=arguments.copy, update=arguments.update)
    return 0


def fetch(
    names: Sequence[str], settings: Settings, folder: Path | None = None, *, copy: bool = False, update: bool = False
) -> None:
    """Fetch what is missing of each model and tell it. folder, copy, update: as the flags."""
    from nutshell.catalogue import cards
    from nutshell.store.places import Places
    from nutshell.store.web import Web

    known, places = cards(), Places.of(settings)
    with Web(offline=settings["offline"]) as web:
        for name in names:
            in_place = None if folder or update else _in_place(name, places)
            kept = _is_kept(name, places)
            if in_place is not None and not copy and not kept:
                _tell_place(name, in_place[0], settings)
                continue
            # What is kept goes on from where it came from, unless a copy is asked for.
            origin = in_place[1].folder if in_place is not None and (copy or not kept) else folder
            try:
                pulled = _pull(name, known, places, settings, web, origin, update)
            except KeyboardInterrupt:
                print(file=sys.stderr)
                note(KEPT)
                raise
            _tell(pulled, places, settings)


def _pull(
    name: str,
    known: Mapping[str, ModelCard],
    places: Places,
    settings: Settings,
    web: Web,
    folder: Path | None,
    update: bool,
) -> Pulled:
    from nutshell.cli.fetching import Line
    from nutshell.store.pull import pull
    from nutshell.store.store import Store
    from nutshell.store.wish import origins, own_store, read_wish

    wish = read_wish(name, known, elsewhere=folder is not None)
    line = Line(quiet=settings["quiet"] or settings["json"])
    if name in known and known[name].runnable:
        line.note(tr("{name} cannot run yet: {why}", name=name, why=Text(known[name].runnable)))
    sources = origins(wish, settings, web, folder=folder, stick=places.sticks())
    return pull(Store(own_store(places)), wish.wanted, sources, update=update, watch=line)


def _in_place(name: str, places: Places) -> tuple[Path, Place] | None:
    """Where a model lies that is used in place: on a removable drive or in the user's own folder."""
    from nutshell.store.places import Places, look_up

    return look_up(name, Places(places.yours, None, places.sticks))


def _is_kept(name: str, places: Places) -> bool:
    """Whether the store has it, damaged or not; then the store's is the one that is used."""
    from nutshell.store.store import Store

    return places.store is not None and name in Store(places.store).manifests()


def _tell_place(name: str, path: Path, settings: Settings) -> None:
    if settings["json"]:
        print(json.dumps({"name": name, "path": str(path), "fetched_bytes": 0, "in_place": True}, ensure_ascii=False))
    else:
        say(tr("{name}  is at {path} and is used there; --copy makes a copy on this machine", name=name, path=path))


def _tell(pulled: Pulled, places: Places, settings: Settings) -> None:
    from nutshell.cli.fetching import size_text
    from nutshell.store.manifest import origin_text
    from nutshell.store.places import opened
    from nutshell.store.store import Store
    from nutshell.store.wish import own_store

    manifest = pulled.manifest
    path = opened(Store(own_store(places)), manifest.name)
    if settings["json"]:
        row = {"name": manifest.name, "path": str(path), "source": manifest.source, "revision": manifest.revision}
        sizes = {"bytes": manifest.size, "fetched_bytes": pulled.fetched}
        print(json.dumps({**row, "licence": manifest.licence, **sizes}, ensure_ascii=False))
        return
    fetched = tr("{size} fetched", size=size_text(pulled.fetched)) if pulled.fetched else ALL_HERE
    cells = (manifest.name, size_text(manifest.size), origin_text(manifest.source, manifest.revision))
    print("  ".join((*map(one_line, cells), words(fetched))), flush=True)
