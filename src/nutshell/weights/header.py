"""The JSON header of a safetensors file, read by its own small grammar.

    header   = { "name": entry, ..., "__metadata__": { "key": "text", ... } }
    entry    = { "dtype": "F16", "shape": [n, ...], "data_offsets": [start, stop] }

A general JSON parser would build whatever a hostile file asks for: lists in lists until the stack ends,
numbers of a million digits, a hundred million empty objects. This grammar has no nesting to recurse into
and a bound on everything that repeats, so the work is linear in the header and the memory a small
multiple of it. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from nutshell.errors import Shape
from nutshell.language import Text, tr

MAX_TENSORS = 100_000  # the largest SD-family file has about 2,500
MAX_RANK = 32  # NumPy 1 stops there
MAX_NAME = 4096  # characters

_WHITE = " \t\r\n"
_SPACE = re.compile(f"[{_WHITE}]*")
_PLAIN_STRING = re.compile(r'"([^"\\\x00-\x1f]*)"')  # without escapes: nearly all of them
# 18 digits always fit a signed 64-bit integer; leading zeros are not JSON.
_DIGITS = "(?:0|[1-9][0-9]{0,17})"
_NATURAL = re.compile(_DIGITS + "(?![0-9.eE])")
# An entry exactly as the reference implementation writes it. One match is six times as fast as the general way,
# which serves every other spelling.
_SIZES = f"(?:{_DIGITS}(?:,{_DIGITS}){{0,{MAX_RANK - 1}}})?"
_USUAL_ENTRY = re.compile(
    rf'\{{"dtype":"([A-Z0-9_]{{1,16}})","shape":\[({_SIZES})\],"data_offsets":\[({_DIGITS}),({_DIGITS})\]\}}'
)
_DECODER = json.JSONDecoder()

# Places of the header, for messages.
_OBJECT = tr("the object")
_KEY = tr("a key")
_VALUE = tr("the value of {name}")
_METADATA = tr("the metadata {name}")
_DTYPE = tr("the dtype of {name}")
_SHAPE = tr("the shape of {name}")
_OFFSETS = tr("the offsets of {name}")


class HeaderError(ValueError):
    """The header breaks the grammar; the text says how, in one line."""


@dataclass(frozen=True)
class Entry:
    """One tensor as the header states it. `start`, `stop`: bytes, counted from the end of the header."""

    dtype: str
    shape: Shape
    start: int
    stop: int


def parse_header(text: str) -> tuple[dict[str, Entry], dict[str, str]]:
    """The tensors in the header's order, and the metadata. Raises HeaderError."""
    cursor = _Cursor(text)
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] | None = None
    for name in cursor.members():
        if name == "__metadata__":
            if metadata is not None:
                raise HeaderError(tr("it states its metadata twice"))
            metadata = _metadata(cursor)
            continue
        if name in entries:
            raise HeaderError(tr("it lists {name} twice", name=shown(name)))
        if len(entries) == MAX_TENSORS:
            raise HeaderError(tr("it lists more than {max_tensors} tensors", max_tensors=MAX_TENSORS))
        _check_name(name)
        entries[name] = _entry(cursor, name)
    cursor.end()
    return entries, metadata or {}


def shown(name: str) -> str:
    """A name from a file, fit to print: quoted, escaped, and cut short."""
    return ascii(name if len(name) <= 80 else name[:77] + "...")


def _metadata(cursor: _Cursor) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in cursor.members():
        if key in found:
            raise HeaderError(tr("it states the metadata {key} twice", key=shown(key)))
        if len(found) == MAX_TENSORS:
            raise HeaderError(tr("it holds too much metadata"))
        found[key] = cursor.string(_METADATA, key)
    return found


def _entry(cursor: _Cursor, name: str) -> Entry:
    usual = _USUAL_ENTRY.match(cursor.text, cursor.at)
    if usual is not None:
        cursor.at = usual.end()
        dtype, sizes, start, stop = usual.groups()
        return Entry(dtype, tuple(map(int, sizes.split(","))) if sizes else (), int(start), int(stop))
    return _entry_by_field(cursor, name)


def _entry_by_field(cursor: _Cursor, name: str) -> Entry:
    dtype: str | None = None
    shape: Shape | None = None
    offsets: Shape | None = None
    for field in cursor.members():
        if field == "dtype" and dtype is None:
            dtype = cursor.string(_DTYPE, name)
        elif field == "shape" and shape is None:
            shape = cursor.naturals(_SHAPE, name)
        elif field == "data_offsets" and offsets is None:
            offsets = cursor.naturals(_OFFSETS, name)
        else:
            raise HeaderError(
                tr("it has an unknown or repeated field {field} for {name}", field=shown(field), name=shown(name))
            )
    if dtype is None or shape is None or offsets is None:
        raise HeaderError(tr("it lacks the dtype, shape or offsets of {name}", name=shown(name)))
    if len(offsets) != 2:
        raise HeaderError(tr("it has {count} offsets for {name} instead of 2", count=len(offsets), name=shown(name)))
    return Entry(dtype, shape, *offsets)


def _check_name(name: str) -> None:
    # Names go into messages: a control character there could rewrite the user's terminal.
    harmless = name.isprintable() or not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    if len(name) > MAX_NAME or not harmless:
        raise HeaderError(tr("it has an unusable tensor name {name}", name=shown(name)))


def _of(what: Text, name: str) -> Text:
    """What stands at a place of the header. Put together here: a header has thousands of places and few faults."""
    return tr(what.template, name=shown(name))


class _Cursor:
    """A position in the text, and the few shapes that may stand there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def members(self) -> Iterator[str]:
        """The keys of an object; the caller reads each value before it asks for the next key."""
        self._expect("{", _OBJECT, "")
        first = True
        while self._next() != "}":
            if not first:
                self._expect(",", _OBJECT, "")
            first = False
            key = self.string(_KEY, "")
            self._expect(":", _VALUE, key)
            yield key
        self.at += 1

    def string(self, what: Text, name: str) -> str:
        """A quoted string."""
        if self._next() != '"':
            raise HeaderError(tr("{what} is no string", what=_of(what, name)))
        plain = _PLAIN_STRING.match(self.text, self.at)
        if plain is not None:
            self.at = plain.end()
            return plain.group(1)
        try:
            value, self.at = _DECODER.raw_decode(self.text, self.at)
        except ValueError as error:
            raise HeaderError(tr("{what} is no valid string", what=_of(what, name))) from error
        assert isinstance(value, str)
        return value

    def naturals(self, what: Text, name: str) -> Shape:
        """A list of non-negative integers."""
        self._expect("[", what, name)
        found: list[int] = []
        while self._next() != "]":
            if found:
                self._expect(",", what, name)
                self._next()
            number = _NATURAL.match(self.text, self.at)
            if number is None or len(found) == MAX_RANK:
                raise HeaderError(tr("{what} is no short list of non-negative integers", what=_of(what, name)))
            found.append(int(number.group()))
            self.at = number.end()
        self.at += 1
        return tuple(found)

    def end(self) -> None:
        """Nothing but padding may follow."""
        if self._next():
            raise HeaderError(tr("something follows its end"))

    def _next(self) -> str:
        """The next character that is not white space, "" at the end."""
        letter = self.text[self.at : self.at + 1]
        if letter not in _WHITE:
            return letter
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def _expect(self, letter: str, what: Text, name: str) -> None:
        if self._next() != letter:
            raise HeaderError(
                tr("there is no {letter!r} where it should be, in {what}", letter=letter, what=_of(what, name))
            )
        self.at += 1
