"""Pictures in rows, each with a line of text under it: how a training shows what it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CAPTION_PIXELS = 18
GAP_PIXELS = 3


def lay_out(
    pictures: Sequence[Image.Image],
    captions: Sequence[str],
    font_file: Path | None = None,
    columns: int = 8,
    cell_pixels: int = 128,
    lines: int = 1,
) -> Image.Image:
    """The sheet. `font_file` should hold Chinese characters if captions do; text too long for its lines is cut."""
    font = ImageFont.truetype(font_file, 11) if font_file else ImageFont.load_default(11)
    cell, row = cell_pixels + 2 * GAP_PIXELS, cell_pixels + lines * CAPTION_PIXELS
    sheet = Image.new("RGB", (columns * cell, -(-len(pictures) // columns) * row), (238, 238, 238))
    pen = ImageDraw.Draw(sheet)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = place % columns * cell, place // columns * row
        sheet.paste(picture.resize((cell_pixels, cell_pixels), Image.Resampling.LANCZOS), (x + GAP_PIXELS, y + 2))
        for number, line in enumerate(_wrap(caption, cell_pixels, lines, pen, font)):
            at = (x + GAP_PIXELS, y + cell_pixels + GAP_PIXELS + number * (CAPTION_PIXELS - 4))
            pen.text(at, line, fill="black", font=font)
    return sheet


def _wrap(
    text: str, width: int, lines: int, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> list[str]:
    """At most `lines` lines of `text` that fit `width` pixels; broken anywhere, for Chinese has no spaces."""
    done: list[str] = []
    while text and len(done) < lines:
        fitting = len(text)
        while pen.textlength(text[:fitting], font=font) > width:
            fitting -= 1
        if fitting < len(text) and len(done) < lines - 1 and " " in text[: fitting + 1]:
            fitting = text[: fitting + 1].rindex(" ")
        done.append(text[:fitting].strip())
        text = text[fitting:].strip()
    if text and done:
        done[-1] = done[-1][:-1] + "…"
    return done
