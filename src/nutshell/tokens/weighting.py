"""Prompt weighting: the bracket syntax that web UIs share, read into text and weights.

    (word)        x 1.1             [word]        / 1.1
    (word:1.3)    x 1.3             ((word))      nesting multiplies
    \\( \\) \\[ \\] \\\\  the character itself    BREAK         what follows starts a new chunk

The syntax is that of AUTOMATIC1111's stable-diffusion-webui (its wiki, "Attention/emphasis").
No string is an error:

- An unclosed `(` or `[` weighs everything up to the end; a `)` or `]` without its opening is text.
- Round and square brackets are counted apart, so `(a [b) c]` overlaps instead of failing.
- The number after the colon is plain decimal in ASCII digits, with an optional sign. Anything else
  (`1e3`, `nan`, `1.2.3`) is text, and the bracket counts as 1.1.
- A weight beyond +-100 is clamped there, so that no prompt makes an infinity or NaN.
- A backslash before any other character is kept (web UIs drop it).
- Prompt editing (`[a:b:0.5]`), `AND` and `<lora:...>` are not read here; they stay text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ROUND_FACTOR = 1.1
SQUARE_FACTOR = 1 / 1.1
LARGEST_WEIGHT = 100.0

_SYNTAX = re.compile(
    r"""  \\(?P<escaped>[\\()\[\]])
        | :\s*(?P<factor>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*\)
        | (?P<bracket>[()\[\]])
        | (?P<text>[^\\()\[\]:]+|[\\:])""",
    re.VERBOSE,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


class Piece(NamedTuple):
    """A run of text of one weight (1 = as written)."""

    text: str
    weight: float


Section = tuple[Piece, ...]


class _Span(NamedTuple):
    """`factor` holds for the fragments `start <= i < end`."""

    start: int
    end: int
    factor: float


def parse_prompt(prompt: str) -> tuple[Section, ...]:
    """The prompt's sections (parted by BREAK), each a run of pieces; at least one section, perhaps empty."""
    fragments, spans = _scan(prompt)
    weights = _multiply(len(fragments), spans)
    sections: list[list[Piece]] = [[]]
    for fragment, weight in zip(fragments, weights.tolist(), strict=True):
        for index, text in enumerate(_BREAK.split(fragment)):
            if index:
                sections.append([])
            _append(sections[-1], text, weight)
    return tuple(map(tuple, sections))


def escape(text: str) -> str:
    """The prompt that means exactly `text`, brackets and backslashes included. BREAK has no escape."""
    return re.sub(r"([\\()\[\]])", r"\\\1", text)


def _scan(prompt: str) -> tuple[list[str], list[_Span]]:
    fragments: list[str] = []
    spans: list[_Span] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def close(kind: str, factor: float, text: str) -> None:
        if opened[kind]:
            spans.append(_Span(opened[kind].pop(), len(fragments), factor))
        else:
            fragments.append(text)

    for match in _SYNTAX.finditer(prompt):
        if match["factor"] is not None:
            close("(", _clamp(float(match["factor"])), match[0])
        elif match["bracket"] is None:
            fragments.append(match["escaped"] or match[0])
        elif match[0] in opened:
            opened[match[0]].append(len(fragments))
        elif match[0] == ")":
            close("(", ROUND_FACTOR, ")")
        else:
            close("[", SQUARE_FACTOR, "]")
    spans += [_Span(start, len(fragments), ROUND_FACTOR) for start in opened["("]]
    spans += [_Span(start, len(fragments), SQUARE_FACTOR) for start in opened["["]]
    return fragments, spans


def _multiply(count: int, spans: list[_Span]) -> npt.NDArray[np.float64]:
    """Each fragment's weight (count,): the product of the spans over it."""
    weights = np.ones(count)
    # Thousands of nested brackets overflow to infinity on the way; clamped at the end.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for span in spans:
            weights[span.start : span.end] *= span.factor
    # A NaN here can only be 0 x infinity, and "no weight at all" is what its writer meant.
    weights = np.nan_to_num(weights, nan=0.0, posinf=LARGEST_WEIGHT, neginf=-LARGEST_WEIGHT)
    return np.clip(weights, -LARGEST_WEIGHT, LARGEST_WEIGHT)


def _clamp(weight: float) -> float:
    return max(-LARGEST_WEIGHT, min(LARGEST_WEIGHT, weight))


def _append(section: list[Piece], text: str, weight: float) -> None:
    """Add text to a section, joined to the last piece where the weight is the same."""
    if not text:
        return
    if section and section[-1].weight == weight:
        section[-1] = Piece(section[-1].text + text, weight)
    else:
        section.append(Piece(text, weight))
