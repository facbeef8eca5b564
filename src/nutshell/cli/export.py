"""`nutshell export`: models into one file, for a machine without network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import one_line
from nutshell.errors import OutputError, UsageError
from nutshell.language import tr

DESCRIPTION = """\
Put models into one file, with their licences, for a machine that has no network. There, `nutshell import FILE` takes
them in."""
EXAMPLES = """\
examples:
  nutshell export artist tiny-sd /media/stick/models.nut
  nutshell export artist models.nut --with-wheels wheels/
"""
WORDS_HELP = "the names of models on this machine, and the file to write, which ends in .nut"
WHEELS_HELP = "put the wheels (*.whl) of this folder in, too: the program itself, for `pip install --no-index`"
REPLACE_HELP = "write over a file that is there"


def main(words: Sequence[str]) -> int:
    parser = make_parser("export", DESCRIPTION, EXAMPLES)
    parser.add_argument("words", nargs="+", metavar="MODEL... FILE.nut", help=WORDS_HELP)
    parser.add_argument("--with-wheels", metavar="DIR", help=WHEELS_HELP)
    parser.add_argument("--replace", action="store_true", help=REPLACE_HELP)
    add_settings(parser, "store", "json", "quiet", "log_level")
    arguments = parser.parse_intermixed_args(words)
    settings = settle(arguments)
    names, target = _names_and_file(arguments.words)
    if target.exists() and not arguments.replace:
        raise OutputError(tr("{target} is there already", target=target), tr("name another file, or add --replace"))

    from nutshell.cli.fetching import Line, size_text
    from nutshell.store import Store
    from nutshell.store.bundle_gather import gather, wheel_files
    from nutshell.store.bundle_write import export_bundle, plan_bundle
    from nutshell.store.places import Places
    from nutshell.store.wish import own_store

    store = Store(own_store(Places.of(settings)))
    packed = [gather(name, store) for name in names]
    wheels = wheel_files(Path(arguments.with_wheels).expanduser()) if arguments.with_wheels else []
    contents, _ = plan_bundle(packed, wheels)
    line = Line(settings["quiet"] or settings["json"])
    line.plan(target.name, sum(entry.size for entry in contents.entries), 0)
    try:
        export_bundle(packed, target, wheels, line.bytes)
    finally:
        line.done()
    size = target.stat().st_size
    if settings["json"]:
        print(json.dumps({"path": str(target), "bytes": size, "models": names}, ensure_ascii=False))
        return 0
    for each in packed:
        manifest = each.model.manifest
        print(one_line(f"{manifest.name}  {size_text(manifest.size)}  {manifest.licence or 'licence unknown'}"))
    print(f"{target}  {size_text(size)}" + (f", with the wheels: {len(wheels)}" if wheels else ""))
    return 0


def _names_and_file(words: Sequence[str]) -> tuple[list[str], Path]:
    """The last word is the file; what was meant is clear enough to say what is missing."""
    *names, last = words
    if not last.endswith(".nut"):
        raise UsageError(
            tr("the file to write must end in .nut, not be {last!r}", last=last),
            tr("nutshell export {last} {last}.nut", last=last),
        )
    if not names:
        raise UsageError(tr("which models should be in it?"), tr("nutshell export MODEL {last}", last=last))
    return list(dict.fromkeys(names)), Path(last).expanduser()
