"""The voice of the command line: everything that a person reads is said here, in their language.

A process speaks one language, set once by `main`. JSON is for programs and stays English.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from nutshell.language import LANGUAGES, Translation, best_language, read_language

COLUMNS = 100
LANG_FLAG = "--lang"
_translation: ContextVar[Translation] = ContextVar("translation")


def speak(language: str) -> None:
    """From here on in this language ("en" or "zh")."""
    _translation.set(Translation(language))


def language() -> str:
    """The language that is spoken."""
    return _spoken().language


def words(text: str) -> str:
    """`text` in the language that is spoken, with all its control characters made harmless."""
    return one_line(_spoken()(text))


def say(text: str = "", file: IO[str] | None = None) -> None:
    """One line to standard output, or to `file`."""
    print(words(text), file=file or sys.stdout, flush=True)


def wrapped(text: str, first: str = "", rest: str = "", columns: int = COLUMNS) -> list[str]:
    """A sentence in lines of at most `columns` cells. first, rest: what stands before the first and the others."""
    from nutshell.cli.line_breaks import broken

    return broken(words(text), columns, first, rest)


def lead(text: str) -> str:
    """Words that something follows on the line, and the blank between them; full-width punctuation has its own."""
    said = words(text)
    return said if said and width(said[-1]) == 2 else f"{said} "


def width(text: str) -> int:
    """How many cells of a terminal a text takes: Chinese characters take two."""
    from wcwidth import width as cells

    return cells(text)


def padded(text: str, cells: int, *, right: bool = False) -> str:
    """`text` filled with blanks up to so many cells; `right`: the blanks come first, as before figures."""
    blanks = " " * (cells - width(text))
    return blanks + text if right else text + blanks


def one_line(text: str) -> str:
    """Text from anywhere, fit for a terminal: no line breaks, no control characters."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text)


def wanted_language(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, file: Path | None = None
) -> str:
    """What --lang, NUTSHELL_LANG, config.toml or the system's locale ask for, in this order.

    It is wanted before anything can go wrong, so what is wrong about these is left for others to tell.
    """
    from nutshell.errors import UsageError
    from nutshell.settings import resolve

    environment = os.environ if environment is None else environment
    for flag, value in zip(arguments, [*arguments, ""][1:], strict=True):
        name, equals, given = flag.partition("=")
        if name == LANG_FLAG:
            try:
                return read_language(given if equals else value)
            except ValueError:
                break
    try:
        found: str | None = resolve({}, environment, file, only="lang")["lang"]
    except UsageError:
        found = None
    return found if found in LANGUAGES else best_language(environment)


def _spoken() -> Translation:
    try:
        return _translation.get()
    except LookupError:
        return Translation("en")
