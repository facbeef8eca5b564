"""Flags from the table of settings."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from nutshell.cli import log
from nutshell.cli.argparse_words import complaint
from nutshell.cli.help_text import OPTIONS, POSITIONALS, commands_of, help_lines
from nutshell.errors import UsageError
from nutshell.language import Text, tr
from nutshell.setting_kinds import YES_NO
from nutshell.settings import BY_NAME, Setting, Settings, resolve

TITLES = {
    "picture": tr("what to draw:"),
    "model": tr("what draws it:"),
    "store": tr("where models come from:"),
    "service": tr("how the service behaves:"),
    "output": tr("where it goes, and what is said:"),
}
DEBUG_HELP = tr("on an error, show where in the program it happened")
HELP_HELP = tr("show this and leave")


class Parser(argparse.ArgumentParser):
    """argparse whose words are ours: help in the language that is spoken, complaints in one line and a hint."""

    def __init__(self, prog: str, description: Text, examples: str = "") -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, add_help=False)
        self._positionals.title, self._optionals.title = POSITIONALS, OPTIONS
        self._examples = commands_of(examples)

    def format_help(self) -> str:
        return "\n".join(help_lines(self, self._examples)) + "\n"

    def error(self, message: str) -> NoReturn:
        raise UsageError(complaint(message), tr("{prog} --help lists what there is", prog=self.prog))


def make_parser(command: str, description: Text, examples: str = "") -> Parser:
    """A parser for one command, with --debug and --help. examples: commands, one a line, indented."""
    parser = Parser(f"nutshell {command}".rstrip(), description, examples)
    parser.add_argument("-h", "--help", action="help", help=HELP_HELP)
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    _add(parser, BY_NAME["lang"])
    return parser


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add a flag for each named row, grouped as in the docs. Values stay text until `settle` reads them."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name in names:
        row = BY_NAME[name]
        if row.group not in groups:
            groups[row.group] = parser.add_argument_group(TITLES[row.group])
        _add(groups[row.group], row)


def _add(group: argparse._ActionsContainer, row: Setting) -> None:
    if row.kind is YES_NO:
        action = group.add_argument(row.flag, dest=row.name, action="store_const", const="yes")
        group.add_argument(
            "--no-" + row.flag[2:], dest=row.name, action="store_const", const="no", help=argparse.SUPPRESS
        )
    else:
        how = "append" if row.many else "store"
        action = group.add_argument(row.flag, dest=row.name, action=how, metavar=row.kind.metavar)
    # argparse itself would take a % in it for a place to put something.
    action.help = _help(row)


def _help(row: Setting) -> Text:
    default = row.shown_default()
    if row.kind is YES_NO or not default:
        return row.help
    return tr("{help} (default: {default})", help=row.help, default=default)


def settle(arguments: argparse.Namespace) -> Settings:
    """The settings that hold for these arguments; also sets up the log, and cuts the process off if they say so."""
    flags: dict[str, Any] = {name: value for name, value in vars(arguments).items() if name in BY_NAME}
    settings = resolve(flags)
    log.set_up(settings["log_level"])
    if settings["offline"]:
        from nutshell.store.offline import forbid_connections

        forbid_connections()
    return settings
