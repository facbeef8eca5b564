"""`nutshell export`: models into one file, for a machine without network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import one_line, say, words
from nutshell.errors import OutputError, UsageError
from nutshell.language import tr

DESCRIPTION = tr(
    "Put models into one file, with their licences, for a machine that has no network. "
    "There, `nutshell import FILE` takes them in."
)
EXAMPLES = """\
  nutshell export artist tiny-sd /media/stick/models.nut
  nutshell export artist models.nut --with-wheels wheels/
"""
WORDS_HELP = tr("the names of models on this machine, and the file to write, which ends in .nut")
WHEELS_HELP = tr("put the wheels (*.whl) of this folder in, too: the program itself, for `pip install --no-index`")
REPLACE_HELP = tr("write over a file that is there")
UNLICENSED = tr("licence unknown")


def main(given: Sequence[str]) -> int:
    parser = make_parser("export", DESCRIPTION, EXAMPLES)
    parser.add_argument("words", nargs="+", metavar="MODEL... FILE.nut", help=WORDS_HELP)
    parser.add_argument("--with-wheels", metavar="DIR", help=WHEELS_HELP)
    parser.add_argument("--replace", action="store_true", help=REPLACE_HELP)
    add_settings(parser, "store", "models", "sticks", "json", "quiet", "log_level")
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)
    names, target = _names_and_file(arguments.words)
    if target.exists() and not arguments.replace:
        raise OutputError(tr("{target} is there already", target=target), tr("name another file, or add --replace"))

    from nutshell.cli.fetching import Line, size_text
    from nutshell.store.bundle_gather import gather, wheel_files
    from nutshell.store.bundle_write import export_bundle, plan_bundle
    from nutshell.store.places import Places

    places = Places.of(settings)
    packed = [gather(name, places) for name in names]
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
        licence = one_line(manifest.licence) or words(UNLICENSED)
        print(f"{one_line(manifest.name)}  {size_text(manifest.size)}  {licence}")
    if wheels:
        say(tr("{path}  {size}, with the wheels: {count}", path=target, size=size_text(size), count=len(wheels)))
    else:
        print(one_line(f"{target}  {size_text(size)}"))
    return 0


def _names_and_file(given: Sequence[str]) -> tuple[list[str], Path]:
    """The last word is the file; what was meant is clear enough to say what is missing."""
    *names, last = given
    if not last.endswith(".nut"):
        raise UsageError(
            tr("the file to write must end in .nut, not be {last!r}", last=last),
            tr("nutshell export {last} {last}.nut", last=last),
        )
    if not names:
        raise UsageError(tr("which models should be in it?"), tr("nutshell export MODEL {last}", last=last))
    return list(dict.fromkeys(names)), Path(last).expanduser()
