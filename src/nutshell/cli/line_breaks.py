"""Text in lines of so many cells. A Chinese line breaks between any two characters, but not beside all punctuation.

After the rules of Unicode Standard Annex 14, as far as Chinese and English need them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# No line begins with the one kind, none ends with the other.
_CLOSING = "，。、；：？！）」』》〉】〕…％"
_OPENING = "（「『《〈【〔"
_CHINESE = "\u2e80-\u2fff\u3040-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECE = re.compile(rf"\s+|[{_OPENING}]*(?:[{_CHINESE}]|[^\s{_CHINESE}{_OPENING}{_CLOSING}]+)?[{_CLOSING}]*")


def broken(text: str, columns: int, first: str = "", rest: str = "") -> list[str]:
    """`text` in lines of at most `columns` cells. first, rest: what stands before the first line and the others."""
    lines, line, gap, empty = [], first, "", True
    for piece in _pieces(text, max(1, columns - max(map(_width, (first, rest))))):
        if piece.isspace():
            gap = "" if empty else piece
            continue
        if not empty and _width(line) + len(gap) + _width(piece) > columns:
            lines.append(line)
            line, gap = rest, ""
        line, gap, empty = line + gap + piece, "", False
    lines.append(line.rstrip() if empty else line)
    return lines


def _pieces(text: str, most: int) -> Iterator[str]:
    """Where no line is broken within, and blanks; what is wider than `most` cells is cut after all."""
    for match in _PIECE.finditer(text):
        piece = match[0]
        while piece and not piece.isspace() and _width(piece) > most:
            count = next(count for count in range(len(piece), 0, -1) if count == 1 or _width(piece[:count]) <= most)
            yield piece[:count]
            piece = piece[count:]
        if piece:
            yield piece


def _width(text: str) -> int:
    from wcwidth import width

    return len(text) if text.isascii() else width(text)
