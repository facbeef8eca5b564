"""What --help shows, laid out by the cells of a terminal: argparse counts characters, and Chinese ones are two wide."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence

from nutshell.cli.report import EXIT_CODES
from nutshell.cli.speech import lead, padded, width, words, wrapped
from nutshell.language import tr

USAGE = tr("usage:")
POSITIONALS = tr("positional arguments:")
OPTIONS = tr("options:")
EXAMPLE = tr("example:")
EXAMPLES = tr("examples:")
EXIT_TITLE = tr("exit codes:")

_COLUMN = 24  # where the words begin, as argparse has it
_NARROWEST = 40


def help_columns() -> int:
    """How wide help is; two cells stay free, as in argparse."""
    return max(shutil.get_terminal_size().columns - 2, _NARROWEST)


def help_lines(parser: argparse.ArgumentParser, examples: Sequence[str]) -> Iterator[str]:
    """The help of one command. examples: commands, which are the same in every language."""
    columns = help_columns()
    yield from _usage(parser, columns)
    yield ""
    yield from wrapped(parser.description or "", columns=columns)
    for group in parser._action_groups:
        shown = {_name(action): action.help or "" for action in group._group_actions if _is_shown(action)}
        if shown:
            yield ""
            yield words(group.title or "")
            yield from rows(shown, columns, _COLUMN)
    yield from examples_lines(examples)
    yield from exit_code_lines()


def rows(content: Mapping[str, str], columns: int, column: int) -> Iterator[str]:
    """Names to the left, and what they mean from `column` on; a long name has a line of its own."""
    for name, meaning in content.items():
        first = f"  {name}"
        if width(first) > column - 2:
            yield first
            first = ""
        yield from wrapped(meaning, padded(first, column), " " * column, columns)


def examples_lines(examples: Sequence[str]) -> Iterator[str]:
    """Commands below their title."""
    if examples:
        yield ""
        yield words(EXAMPLES if len(examples) > 1 else EXAMPLE)
        yield from (f"  {example}" for example in examples)


def exit_code_lines() -> Iterator[str]:
    """The table of exit codes."""
    yield ""
    yield words(EXIT_TITLE)
    yield from rows({str(code): meaning for code, meaning in EXIT_CODES.items()}, help_columns(), 7)


def usage_lines(program: str, parts: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    """`usage: nutshell list [-h] ...`. parts: what must stand together; each group begins a line if not all fit."""
    first = f"{lead(USAGE)}{program} "
    whole = first + " ".join(part for group in parts for part in group)
    if width(whole) <= columns:
        yield whole.rstrip()
        return
    line, rest = first, " " * width(first)
    for group in parts:
        for part in group:
            if line.strip() and width(line) + width(part) > columns and line != first:
                yield line.rstrip()
                line = rest
            line += f"{part} "
        if line.strip() and line != first:
            yield line.rstrip()
            line = rest


def _usage(parser: argparse.ArgumentParser, columns: int) -> Iterator[str]:
    shown = [action for action in parser._actions if _is_shown(action)]
    flags = [f"[{_with_value(action.option_strings[0], action)}]" for action in shown if action.option_strings]
    places = [_place(action) for action in shown if not action.option_strings]
    return usage_lines(parser.prog, [flags, places], columns)


def _is_shown(action: argparse.Action) -> bool:
    return action.help is not argparse.SUPPRESS


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return _metavar(action)
    return _with_value(", ".join(action.option_strings), action)


def _with_value(flags: str, action: argparse.Action) -> str:
    return flags if action.nargs == 0 else f"{flags} {_metavar(action)}"


def _place(action: argparse.Action) -> str:
    # While it takes flags and others mixed, argparse before 3.12 keeps the count there.
    name, count = _metavar(action), getattr(action, "save_nargs", action.nargs)
    if count == "?":
        return f"[{name}]"
    if count == "*":
        return f"[{name} ...]"
    return f"{name} [{name} ...]" if count == "+" and "..." not in name else name


def _metavar(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def commands_of(examples: str) -> list[str]:
    """The commands of a text that holds one on each line."""
    return [line.strip() for line in examples.splitlines() if line.startswith(" ")]
