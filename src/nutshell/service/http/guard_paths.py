"""What is said to clients names files, and never the folders of this machine."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, overload

from nutshell.language import Text
from nutshell.language.text import Joined

# An absolute path of POSIX or Windows with at least one folder, as far as it can be told from a sentence. What comes
# after a letter, a digit, a colon or a slash is part of an address or a fraction.
_PATH = re.compile(
    r"(?<![\w:/.\\<])(?:~?/(?:[^/\s'\":,;]+/)+|(?:[A-Za-z]:\\|\\\\)(?:[^\\\s'\":,;]+\\)+)([^/\\\s'\":,;]*)"
)


@overload
def without_folders(text: Text) -> Text: ...


@overload
def without_folders(text: str) -> str: ...


def without_folders(text: str) -> str:
    """The same sentence with each absolute path cut to its file's name. A `Text` can still be translated."""
    if isinstance(text, Joined):
        return Joined(without_folders(text.separator), [without_folders(part) for part in text.parts])
    if isinstance(text, Text) and text.values:
        return Text(text.template, {name: _value(value) for name, value in text.values.items()})
    return type(text)(_cut(text)) if isinstance(text, Text) else _cut(text)


def _value(value: Any) -> Any:
    if isinstance(value, PurePath):
        return value.name if value.is_absolute() else str(value)
    if isinstance(value, BaseException):
        value = value.args[0] if value.args and isinstance(value.args[0], Text) else str(value)
    return without_folders(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    return _PATH.sub(lambda found: found[1] or "...", text)
