"""`nutshell list`: the models that were fetched, and those on removable drives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import one_line, padded, say, words
from nutshell.language import tr

if TYPE_CHECKING:
    from nutshell.store.places import Place, Places
    from nutshell.store.store import Store

DESCRIPTION = tr(
    "List the models that were fetched, those on removable drives and those in your own folder. "
    "Those that come with the program are in `nutshell models`."
)
NOTHING = tr("no model has been fetched yet; nutshell models lists what there is, nutshell pull NAME fetches it")


def main(given: Sequence[str]) -> int:
    parser = make_parser("list", DESCRIPTION)
    add_settings(parser, "store", "models", "sticks", "json", "log_level")
    settings = settle(parser.parse_args(given))

    from nutshell.cli.fetching import size_text
    from nutshell.store.manifest import origin_text
    from nutshell.store.places import Places

    rows = list(_rows(Places.of(settings)))
    if settings["json"]:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return 0
    for row in rows:
        name, size = padded(one_line(row["name"]), 24), f"{size_text(row['bytes']):>9}"
        where = "" if row["kind"] == "store" else one_line(row["path"])
        state = "" if row["whole"] else words(tr("incomplete: nutshell pull {name} mends it", name=row["name"]))
        cells = (name, size, one_line(origin_text(row["source"], row["revision"])), where, state)
        print("  ".join(cell for cell in cells if cell))
    kept = [row for row in rows if row["kind"] == "store"]
    if kept:
        size = size_text(_disk_bytes(Places.of(settings)))
        say(tr("{size} in {folder}", size=size, folder=kept[0]["folder"]))
    elif not rows:
        say(NOTHING)
    return 0


def _rows(places: Places) -> Iterator[dict[str, Any]]:
    for place in places:
        store = place.store
        if store is not None:
            yield from _stored(store, place)
        if place.kind != "store":
            yield from _plain(place)


def _stored(store: Store, place: Place) -> Iterator[dict[str, Any]]:
    for manifest in store.manifests().values():
        yield {
            "name": manifest.name,
            "bytes": manifest.size,
            "source": manifest.source,
            "revision": manifest.revision,
            "licence": manifest.licence,
            "kind": place.kind,
            "folder": str(place.folder),
            "path": str(store.view(manifest.name)),
            "whole": store.is_whole(manifest.name),
        }


def _plain(place: Place) -> Iterator[dict[str, Any]]:
    """Folders and files as one downloads them."""
    from nutshell.store.places import plain_models

    for path in plain_models(place.folder):
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        yield {
            "name": path.stem if path.is_file() else path.name,
            "bytes": sum(file.stat().st_size for file in files),
            "source": "",
            "revision": "",
            "licence": "",
            "kind": place.kind,
            "folder": str(place.folder),
            "path": str(path),
            "whole": True,
        }


def _disk_bytes(places: Places) -> int:
    """What the store takes: files that models share count once."""
    from nutshell.store.store import Store

    manifests = Store(places.store).manifests().values() if places.store is not None else ()
    return sum({file.sha256: file.size for manifest in manifests for file in manifest.files}.values())
