"""Sentences of any room said in a language that puts what it knows between «», so that what was forgotten shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from nutshell.language import Text, Translation
from tests.cli.pseudo import Bracketed, untranslated


@cache
def brackets() -> Translation:
    """It knows every sentence that is collected for the catalogues."""
    return spoken_by(Bracketed)


def spoken_by(kind: type[Bracketed]) -> Translation:
    """A language whose catalogue is of this kind."""
    from tools.catalogues import messages

    spoken: Any = Translation("en")
    spoken.language, spoken._catalogue = "zh", kind(text for text, _ in messages())
    return spoken  # type: ignore[no-any-return]


def forgotten(sentences: Iterable[str], names: object = ()) -> list[str]:
    """The words of the sentences that no catalogue can have. names: whatever holds those that stay as they are."""
    told = "\n".join(map(brackets(), sentences))
    return untranslated(told, filter(None, plain_strings(names)))


def plain_strings(value: object) -> Iterator[str]:
    """Every string in a report that is no sentence, or stands in one: names of processors, folders, drivers."""
    if isinstance(value, Text):
        value = value.values
    if isinstance(value, Mapping):
        value = [*value.items()]
    if isinstance(value, (tuple, list, frozenset)):
        for part in value:
            yield from plain_strings(part)
    elif isinstance(value, str):
        yield value
