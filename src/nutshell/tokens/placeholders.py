"""Textual inversion: words of a prompt that stand for learned vectors (Gal et al., arXiv:2208.01618).

A learned concept is a word and one or more vectors. The vectors are appended to the text encoder's
embedding table, and here the word becomes their ids: `vocabulary size + i`, in the mapping's order.

The word is found as a whole word whatever its case, as web UIs do (they compare lower-cased tokens).
"Whole" is asked only where the name begins or ends with a letter, digit or underscore: `cat` is not
found in `cats`, and `<cat-toy>` is found in `a<cat-toy>b`. A longer name goes before a shorter one.
Brackets in a name are still prompt syntax: write them escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from nutshell.errors import UsageError
from nutshell.language import tr

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Placeholders:
    """Names -> the ids that each becomes."""

    ids: Mapping[str, Ids]

    def extended(self, counts: Mapping[str, int], base: int) -> Placeholders:
        """These and more: `counts` maps a name to its number of vectors; `base` is the first id of all."""
        ids = dict(self.ids)
        known = {_key(name) for name in ids}
        next_id = base + sum(map(len, ids.values()))
        for name, count in counts.items():
            if not _key(name):
                raise UsageError(
                    tr("a placeholder has no name"), hint=tr("name it as the prompt will, for example <cat-toy>")
                )
            if _key(name) in known:
                raise UsageError(
                    tr("there are two placeholders {name!r}", name=name),
                    hint=tr("case does not count: rename one of them"),
                )
            if count < 1:
                raise UsageError(
                    tr("the placeholder {name!r} stands for {count} vectors", name=name, count=count),
                    hint=tr("give it one vector or more"),
                )
            known.add(_key(name))
            ids[name] = tuple(range(next_id, next_id + count))
            next_id += count
        return Placeholders(ids)

    def split(self, text: str) -> Iterator[str | Ids]:
        """The text in order: strings between placeholders, and the ids of each placeholder."""
        if not self.ids:
            yield text
            return
        text = unicodedata.normalize("NFC", text)
        position = 0
        for match in self._pattern.finditer(text):
            yield text[position : match.start()]
            # The group that matched is the name's place in the order of the pattern.
            yield self._longest_first[(match.lastindex or 1) - 1][1]
            position = match.end()
        yield text[position:]

    @cached_property
    def _longest_first(self) -> tuple[tuple[str, Ids], ...]:
        return tuple(sorted(self.ids.items(), key=lambda item: -len(_key(item[0]))))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(f"({_whole_word(_key(name))})" for name, _ in self._longest_first), re.IGNORECASE)


def _key(name: str) -> str:
    """What makes two names the same: case, runs of white space and composed accents aside."""
    return " ".join(unicodedata.normalize("NFC", name).lower().split())


def _whole_word(key: str) -> str:
    body = r"\s+".join(map(re.escape, key.split()))
    before = r"(?<!\w)" if re.match(r"\w", key) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", key) else ""
    return before + body + after
