"""`nutshell remove`: delete fetched models."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import say
from nutshell.language import tr

DESCRIPTION = tr(
    "Delete models that were fetched, and what an interrupted fetch has left. Files that another model shares stay."
)
MODEL_HELP = tr("a model's name, as `nutshell list` shows it")


def main(words: Sequence[str]) -> int:
    parser = make_parser("remove", DESCRIPTION)
    parser.add_argument("names", nargs="+", metavar="MODEL", help=MODEL_HELP)
    add_settings(parser, "store", "json", "log_level")
    arguments = parser.parse_intermixed_args(words)
    settings = settle(arguments)

    from nutshell.cli.fetching import size_text
    from nutshell.store.places import Places
    from nutshell.store.pull import remove
    from nutshell.store.store import Store
    from nutshell.store.wish import own_store

    store = Store(own_store(Places.of(settings)))
    for name in arguments.names:
        freed = remove(store, name)
        if settings["json"]:
            print(json.dumps({"name": name, "freed_bytes": freed}, ensure_ascii=False))
        else:
            say(tr("{name}  removed, {size} freed", name=name, size=size_text(freed)))
    return 0
