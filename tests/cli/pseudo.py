"""Languages in which what is not translated shows, and running the command line in them.

In one, every sentence of the catalogues is English between «»; what stands outside was forgotten, or is a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nutshell.catalogue import cards

_PLACE = re.compile(r"(\{\{|\}\}|\{\w+(?:![rs])?(?::[^{} ]*)?\})")

_BRACKETED = re.compile(r"«[^«»]*»")
# What is the same in every language.
_UNTRANSLATED = (
    r"^  nutshell .*$",  # an example
    r"^  [a-z]+ +(?=«)",  # a name and what it is
    r"(?<=KNOWN)[\w, -]+$",
    r"'[^']*'|\"[^\"]*\"",  # what somebody typed
    r"(?<![\w-])--?[a-z][a-z0-9-]*( \S*[|,]\S*)?",  # flags, and what they may be: a|b
    r"\S*[/\\]\S*",  # paths and repositories
    r"[\w-]*\.[a-z]+\b",  # files and their endings
    r"\bnutshell( [a-z]+\b)?",  # the program and its commands
    r"\bNUTSHELL_[A-Z_]+\b",
    r"\b[A-Z]{2,}\b",  # PROMPT, FILE and others
    r"\b[A-Z][A-Za-z]*[a-z][A-Z]\w*\b|\b[A-Z]{2,}[a-z]\w*\b",  # classes of other libraries
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_NAMES = (
    *("min", "openvino", "onnx", "torch", "numpy", "huggingface", "modelscope", "warning"),
    *("epsilon", "v_prediction", "sample", "f32", "bf16", "f16", "int8", "int8_weights", "35dB"),
    *cards(),
)


class Bracketed:
    """A catalogue. known: the sentences that it translates, as the real ones do."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)

    def gettext(self, message: str) -> str:
        if message not in self._known:
            return message
        pieces = enumerate(_PLACE.split(message))
        return "".join(piece if number % 2 or not _WORD.search(piece) else f"«{piece}»" for number, piece in pieces)


class Wide(Bracketed):
    """A catalogue that puts a character of two cells for each letter."""

    def gettext(self, message: str) -> str:
        if message not in self._known:
            return message
        pieces = enumerate(_PLACE.split(message))
        return "".join(piece if number % 2 else re.sub(r"[^\W\d_]", "字", piece) for number, piece in pieces)


def untranslated(text: str, allowed: Iterable[str] = ()) -> list[str]:
    """The words of `text` that stand in no sentence of a catalogue and are no names. allowed: further names."""
    text = _BRACKETED.sub("«»", text.replace("«known: »", "KNOWN"))
    text = _without(text, allowed)
    for pattern in _UNTRANSLATED:
        text = re.sub(pattern, " ", text, flags=re.MULTILINE)
    return _WORD.findall(_without(text, _NAMES))


def _without(text: str, names: Iterable[str]) -> str:
    for name in sorted(set(names), key=len, reverse=True):
        broken = r"\s+".join(map(re.escape, name.split()))
        text = re.sub(rf"(?<![\w-]){broken}(?![\w-])", " ", text)
    return text
