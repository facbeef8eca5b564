"""`nutshell --help`: what there is, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nutshell.cli.help_text import OPTIONS, USAGE, examples_lines, exit_code_lines, help_columns, rows
from nutshell.cli.speech import lead, width, words, wrapped
from nutshell.language import Text, tr
from nutshell.settings import BY_NAME

DESCRIPTION = tr("Draw pictures from sentences, on this machine and with no network.")
MENU = tr("`nutshell` alone, on a terminal, shows the models that run here, to choose one and draw.")
COMMANDS_TITLE = tr("commands:")
OPTIONS_PLACE = tr("[options]")
EXAMPLES = (
    'nutshell "a red apple"',
    'nutshell "a cat wearing sunglasses" --seed 7 --steps 20 --output cat.png',
    "nutshell inspect cat.png",
)
FLAGS: dict[str, str] = {
    "-h, --help": tr("show this and leave; `nutshell generate --help` lists what a drawing can be told"),
    "--version": tr("show the version and leave"),
    "--debug": tr("on an error, show where in the program it happened"),
    "--lang en|zh": BY_NAME["lang"].help,
}

_COLUMN = 17


def overview(commands: Mapping[str, Text]) -> Iterator[str]:
    """The page. commands: name -> what it does."""
    columns = help_columns()
    usage, places = lead(USAGE), words(OPTIONS_PLACE)
    yield f"{usage}nutshell PROMPT {places}"
    yield f"{' ' * width(usage)}nutshell COMMAND {places}"
    yield ""
    yield from wrapped(DESCRIPTION, columns=columns)
    yield from wrapped(MENU, columns=columns)
    for title, content in ((COMMANDS_TITLE, commands), (OPTIONS, FLAGS)):
        yield ""
        yield words(title)
        yield from rows(content, columns, _COLUMN)
    yield from examples_lines(EXAMPLES)
    yield from exit_code_lines()
