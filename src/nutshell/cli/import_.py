"""`nutshell import`: the models of a bundle into the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import one_line, say, words
from nutshell.language import tr

if TYPE_CHECKING:
    from nutshell.store.bundle import BundledModel

DESCRIPTION = tr(
    "Take in the models of a file that `nutshell export` made. Every byte is checked. When it is broken off, the same "
    "command goes on where it was."
)
EXAMPLES = """\
  nutshell import /media/stick/models.nut
"""
FILE_HELP = tr("a bundle (.nut)")
UNLICENSED = tr("licence unknown")


def main(given: Sequence[str]) -> int:
    parser = make_parser("import", DESCRIPTION, EXAMPLES)
    parser.add_argument("file", metavar="FILE.nut", help=FILE_HELP)
    add_settings(parser, "store", "json", "quiet", "log_level")
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)

    from nutshell.catalogue import own_folder
    from nutshell.cli.fetching import Line, size_text
    from nutshell.store import Store
    from nutshell.store.bundle_read import import_bundle, is_built_in, keep_cards
    from nutshell.store.places import Places
    from nutshell.store.pull import BUSY
    from nutshell.store.wish import own_store

    path, line = Path(arguments.file).expanduser(), Line(settings["quiet"] or settings["json"])
    try:
        done = import_bundle(
            path,
            Store(own_store(Places.of(settings))),
            wanted=lambda model: not is_built_in(model),
            on_bytes=line.bytes,
            on_total=lambda count: line.plan(path.name, count, 0),
            on_wait=lambda: line.note(BUSY),
        )
    finally:
        line.done()
    notes = keep_cards(done.models, own_folder())
    if settings["json"]:
        names = {"models": _names(done.models), "left_out": _names(done.left_out), "copied_bytes": done.copied}
        print(json.dumps({**names, "notes": notes}, ensure_ascii=False))
        return 0
    for model in done.models:
        manifest = model.manifest
        licence = one_line(manifest.licence) or words(UNLICENSED)
        print(f"{one_line(manifest.name)}  {size_text(manifest.size)}  {licence}")
    for model in done.left_out:
        say(tr("{name}  comes with the program, so it was left out", name=model.manifest.name))
    for note in notes:
        say(note)
    say(tr("{size} copied", size=size_text(done.copied)))
    drawing = [model for model in done.models if model.card is None or model.card.kind == "text-to-image"]
    if drawing:
        command = f'nutshell "a castle by the sea" --model {drawing[0].manifest.name}'
        say(tr("draw with it: {command}", command=command))
    return 0


def _names(models: Sequence[BundledModel]) -> list[str]:
    return [model.manifest.name for model in models]
