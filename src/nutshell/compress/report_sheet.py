"""The pictures of two models side by side, as one PNG."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nutshell.files import write_bytes

_SIDE = 256
_GAP = 8
_TITLE = 22
_TEXT = 32  # below each pair, two lines
_LETTERS = 76  # of a line
_INK, _PAPER = (20, 20, 20), (255, 255, 255)
_LETTER_SIZE = 13
# Pillow's own font has no Chinese; of these, systems have one or the other, where Pillow looks by itself.
_CHINESE = (
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf"),
    *("PingFang.ttc", "STHeiti Light.ttc", "msyh.ttc", "simsun.ttc"),
)


def save_sheet(
    path: Path, names: Sequence[str], prompts: Sequence[str], pictures: Sequence[Sequence[Image.Image]], most: int = 16
) -> None:
    """A row for each prompt (the first `most`), a column for each model. Raises OutputError."""
    rows = min(most, len(prompts))
    width = len(names) * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _TITLE + rows * (_SIDE + _TEXT) + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), font_for("".join((*names, *prompts[:rows])))
    for column, (name, drawn) in enumerate(zip(names, pictures, strict=True)):
        left = _GAP + column * (_SIDE + _GAP)
        pen.text((left, 4), name[:36], _INK, font)
        for row, image in enumerate(drawn[:rows]):
            shown = image.copy()
            shown.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
            sheet.paste(shown, (left, _TITLE + row * (_SIDE + _TEXT)))
    for row, prompt in enumerate(prompts[:rows]):
        lines = textwrap.wrap(prompt, _LETTERS)[:2]
        pen.multiline_text((_GAP, _TITLE + row * (_SIDE + _TEXT) + _SIDE + 2), "\n".join(lines), _INK, font)
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def font_for(text: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own, or one of the system's that knows Chinese where the text may need it and one is there."""
    if any(ord(letter) > 0x2E7F for letter in text):  # where the Chinese radicals begin
        for name in _CHINESE:
            with contextlib.suppress(OSError):
                return ImageFont.truetype(name, _LETTER_SIZE)
    return ImageFont.load_default(_LETTER_SIZE)
