"""`nutshell verify`: read every byte of models and compare with their hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import one_line, say, words
from nutshell.errors import ModelError, ModelNotFound
from nutshell.language import Text, join, tr

if TYPE_CHECKING:
    from nutshell.store.check import Verdict
    from nutshell.store.places import Place, Places
    from nutshell.store.store import Store

DESCRIPTION = tr(
    "Read every byte of fetched models and compare with the hashes. A damaged file is put out of use, so that "
    "`nutshell pull` fetches it, and only it, again; on a removable drive it is only told."
)
MODEL_HELP = tr("a model's name; none for all")


def main(given: Sequence[str]) -> int:
    parser = make_parser("verify", DESCRIPTION)
    parser.add_argument("names", nargs="*", metavar="MODEL", help=MODEL_HELP)
    add_settings(parser, "store", "models", "sticks", "json", "quiet", "log_level")
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)

    from nutshell.cli.fetching import Line, size_text
    from nutshell.store.places import Places

    all_well = True
    for place, store, name in list(_chosen(Places.of(settings), arguments.names)):
        line = Line(quiet=settings["quiet"] or settings["json"])
        manifest = store.manifest(name)
        line.plan(name, manifest.size, 0)
        try:
            verdict = store.verify(name, line.bytes)
        finally:
            line.done()
        if verdict.damaged and place.kind == "store":
            with store.lock():
                store.set_aside(verdict)
        all_well = all_well and not verdict.bad
        if settings["json"]:
            bad = {"damaged": [file.path for file in verdict.damaged], "missing": [f.path for f in verdict.missing]}
            print(json.dumps({"name": name, "folder": str(place.folder), "bytes": manifest.size, **bad}))
            continue
        state = join(tr("; "), _state(verdict, len(manifest.files)))
        print(f"{one_line(name)}  {size_text(manifest.size)}  {words(state)}", flush=True)
        if verdict.bad:
            lost = size_text(sum(file.size for file in verdict.bad))
            mend = (
                tr("nutshell pull {name} brings back {size}", name=name, size=lost)
                if place.kind == "store"
                else tr("copying it to {folder} again brings back {size}", folder=place.folder, size=lost)
            )
            say(tr("hint: {hint}", hint=mend))
    return 0 if all_well else ModelError.exit_code


def _state(verdict: Verdict, count: int) -> Iterator[Text]:
    if not verdict.bad:
        yield tr("1 file ok") if count == 1 else tr("{count} files ok", count=count)
    for file in verdict.damaged:
        yield tr("damaged: {path}", path=file.path)
    for file in verdict.missing:
        yield tr("missing: {path}", path=file.path)


def _chosen(places: Places, names: Sequence[str]) -> Iterator[tuple[Place, Store, str]]:
    """The named models, or all, of the store and of removable drives that hold one."""
    there = [(place, store, name) for place in places if (store := place.store) for name in store.manifests()]
    for name in names:
        if not any(name == each for _, _, each in there):
            raise ModelNotFound(
                tr("there is no fetched model named {name!r}", name=name), tr("nutshell list shows what there is")
            )
    return iter([row for row in there if not names or row[2] in names])
