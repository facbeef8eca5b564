"""Sentences that can still be translated after they were put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Text(str):
    """A sentence in English, as any other string, that also knows its template and what was put into it.

    template: a key of the catalogues, with places such as {path} where there are values.
    """

    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, values: Mapping[str, Any] = _NOTHING) -> Text:
        self = super().__new__(cls, template.format_map(values) if values else template)
        self.template = template
        self.values = values
        return self

    def __str__(self) -> str:
        # What str() makes of it, as of an exception that holds it, knows its template too.
        return self

    def __reduce__(self) -> Any:
        return Text, (self.template, dict(self.values))


class Joined(Text):
    """Several sentences one after another."""

    separator: str
    parts: tuple[str, ...]

    def __new__(cls, separator: str, parts: Iterable[str]) -> Joined:
        parts = tuple(parts)
        self = str.__new__(cls, separator.join(parts))
        self.template, self.values = str.__str__(self), _NOTHING
        self.separator, self.parts = separator, parts
        return self

    def __reduce__(self) -> Any:
        return Joined, (self.separator, self.parts)


def tr(template: str, /, **values: Any) -> Text:
    """A sentence for people. `template` is plain text in the code, for the catalogues are collected from there.

    The values stand where the template names them ("{size:.1f} GB", "{name!r}"). A value that is itself such a
    sentence, or an error that carries one, is translated with it. Without values braces stand for themselves.
    """
    return Text(template, values)


def join(separator: str, parts: Iterable[str]) -> Text:
    """`separator.join(parts)`, where each part and the separator keep their translation."""
    return Joined(separator, parts)
