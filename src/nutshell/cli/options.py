"""Flags from the table of settings."""

from __future__ import annotations

import argparse
import logging
from typing import Any, NoReturn

from nutshell.cli.report import EXIT_CODES
from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.settings import BY_NAME, YES_NO, Setting, Settings, resolve

TITLES = {
    "picture": "what to draw",
    "model": "what draws it",
    "store": "where models come from",
    "output": "where it goes, and what is said",
}
EXIT_TITLE = "exit codes:"
DEBUG_HELP = "on an error, show where in the program it happened"
HELP_HELP = "show this and leave"


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are ours: one line and a hint."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, tr("{prog} --help lists what there is", prog=self.prog))


def make_parser(command: str, description: str, examples: str = "") -> Parser:
    """A parser for one command, with --debug and --help."""
    parser = Parser(
        prog=f"nutshell {command}".rstrip(),
        description=description,
        epilog=f"{examples}\n{exit_codes()}".strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help=HELP_HELP)
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    _add(parser, BY_NAME["lang"])
    return parser


def exit_codes() -> str:
    """The table for --help."""
    return "\n".join([EXIT_TITLE, *(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())])


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add a flag for each named row, grouped as in the docs. Values stay text until `settle` reads them."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name in names:
        row = BY_NAME[name]
        if row.group not in groups:
            groups[row.group] = parser.add_argument_group(TITLES[row.group])
        _add(groups[row.group], row)


def _add(group: argparse._ActionsContainer, row: Setting) -> None:
    default = row.shown_default()
    words = (row.help + (f" (default: {default})" if default and row.kind is not YES_NO else "")).replace("%", "%%")
    if row.kind is YES_NO:
        group.add_argument(row.flag, dest=row.name, action="store_const", const="yes", help=words)
        group.add_argument(
            "--no-" + row.flag[2:], dest=row.name, action="store_const", const="no", help=argparse.SUPPRESS
        )
    elif row.many:
        group.add_argument(row.flag, dest=row.name, action="append", metavar=row.kind.metavar, help=words)
    else:
        group.add_argument(row.flag, dest=row.name, metavar=row.kind.metavar, help=words)


def settle(arguments: argparse.Namespace) -> Settings:
    """The settings that hold for these arguments; also sets up the log, and cuts the process off if they say so."""
    flags: dict[str, Any] = {name: value for name, value in vars(arguments).items() if name in BY_NAME}
    settings = resolve(flags)
    logging.basicConfig(level=settings["log_level"].upper(), format="%(name)s: %(message)s")
    if settings["offline"]:
        from nutshell.store.offline import forbid_connections

        forbid_connections()
    return settings
