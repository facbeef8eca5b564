"""`nutshell add`: a card for a checkpoint of the user's own, so that it can be called by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import say
from nutshell.language import tr

DESCRIPTION = tr(
    "Give a model on this machine a name. A card is written into your folder of cards; the model stays where it "
    "lies, and nothing is copied."
)
EXAMPLES = """\
  nutshell add Downloads/castles.safetensors --name castles --licence CreativeML-OpenRAIL-M
  nutshell generate "a castle by the sea" --model castles
"""
FILE_HELP = tr("a .safetensors file or a model folder")
NAME_HELP = tr("how to call it (default: the file's name)")
TITLE_HELP = tr("one line that says what it is")
LICENCE_HELP = tr("its licence, as SPDX or its own name (default: unknown)")
REPLACE_HELP = tr("replace a card that has this name")


def main(words: Sequence[str]) -> int:
    parser = make_parser("add", DESCRIPTION, EXAMPLES)
    parser.add_argument("file", metavar="FILE", help=FILE_HELP)
    parser.add_argument("--name", default="", help=NAME_HELP)
    parser.add_argument("--title", default="", help=TITLE_HELP)
    parser.add_argument("--licence", "--license", default="", help=LICENCE_HELP)
    parser.add_argument("--replace", action="store_true", help=REPLACE_HELP)
    add_settings(parser, "prediction", "json", "log_level")
    arguments = parser.parse_intermixed_args(words)
    settings = settle(arguments)

    from nutshell.catalogue import keep_card
    from nutshell.catalogue.write import card_table
    from nutshell.pipeline.make_card import make_card

    path = Path(arguments.file).expanduser()
    card = make_card(path, arguments.name, arguments.title, arguments.licence, settings["prediction"])
    written = keep_card(card, replace=arguments.replace)
    if settings["json"]:
        print(json.dumps({"name": card.name, "card": str(written), **card_table(card)}, ensure_ascii=False))
        return 0
    millions = card.all_parameters / 1e6
    say(tr("{name}: {kind}, {count:,.1f} million parameters", name=card.name, kind=card.kind, count=millions))
    say(tr("card: {path}", path=written))
    if card.kind == "text-to-image":
        command = f'nutshell "a castle by the sea" --model {_quoted(card.name)}'
        say(tr("draw with it: {command}", command=command))
    else:
        say(tr("decode with it: --vae {path}", path=_quoted(card.path)))
    return 0


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
