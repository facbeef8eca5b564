"""Clothes that we draw ourselves, because the art has none that are seen from the front: scarf, mask, goggles, helmet.

Each is made of layers of one material, from back to front. Coordinates are those of a 256x256 sprite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

DRAWN = "drawn:"
"""A code that begins with this names a piece drawn by `drawn`, not a sprite."""

SIDE = 256
FINE = 4  # supersampling

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Colour = tuple[int, int, int]
Stroke = Callable[[ImageDraw.ImageDraw], None]

_RED, _DARK_RED, _DEEP_RED = (248, 62, 88), (196, 16, 66), (150, 8, 60)
_WHITE, _LILAC, _GREY_LILAC = (250, 244, 255), (214, 192, 240), (196, 176, 224)
_PURPLE, _DARK_PURPLE = (112, 76, 168), (58, 36, 98)
_SKY, _BLUE = (120, 222, 255), (30, 140, 240)


def _solid(stroke: Stroke, light: Colour, dark: Colour, round_by: float = 7.0) -> Image.Image:
    """One body: `stroke` draws its outline, light falls from above left, its rim is rounded by `round_by` pixels."""
    mask = Image.new("L", (SIDE * FINE, SIDE * FINE))
    stroke(ImageDraw.Draw(mask))
    box = mask.getbbox() or (0, 0, 1, 1)
    down = np.clip((np.arange(SIDE * FINE) - box[1]) / (box[3] - box[1]), 0, 1)[:, None, None]
    colours = np.array(light) * (1 - down) + np.array(dark) * down
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(round_by * FINE)), np.float32) / 255
    step = round(round_by * FINE / 2)
    # Where the height rises towards the lower right, the surface looks to the light.
    slope = np.roll(height, -step, (0, 1)) - np.roll(height, step, (0, 1))
    colours = np.clip(colours + 70 * slope[:, :, None], 0, 255)
    body = Image.fromarray(np.broadcast_to(colours, (*slope.shape, 3)).round().astype(np.uint8), "RGB")
    body.putalpha(mask)
    return body


def _glow(stroke: Stroke, colour: Colour, alpha: int, blur: float = 0.0) -> Image.Image:
    """A flat, translucent mark: a glint or a soft shadow."""
    mask = Image.new("L", (SIDE * FINE, SIDE * FINE))
    stroke(ImageDraw.Draw(mask))
    mask = mask.filter(ImageFilter.GaussianBlur(blur * FINE)).point([value * alpha // 255 for value in range(256)])
    mark = Image.new("RGB", mask.size, colour)
    mark.putalpha(mask)
    return mark


def _path(points: Sequence[Point], widths: tuple[float, float, float]) -> Stroke:
    """A curve through three points (a parabola), as wide at its start, middle and end as `widths`, with round ends."""
    (x0, y0), (x1, y1), (x2, y2) = points
    w0, w1, w2 = widths

    def stroke(pen: ImageDraw.ImageDraw) -> None:
        for step in range(241):
            t = step / 240
            a, b, c = (1 - t) * (1 - 2 * t), 4 * t * (1 - t), t * (2 * t - 1)
            x, y, r = a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2, (a * w0 + b * w1 + c * w2) / 2
            pen.ellipse([(x - r) * FINE, (y - r) * FINE, (x + r) * FINE, (y + r) * FINE], fill=255)

    return stroke


def _rounded(corners: Sequence[Point], radius: float) -> Stroke:
    """A polygon grown by `radius`, so that its corners are round."""
    fine = [(x * FINE, y * FINE) for x, y in corners]
    r = radius * FINE

    def stroke(pen: ImageDraw.ImageDraw) -> None:
        pen.polygon(fine, fill=255)
        pen.line([*fine, fine[0]], fill=255, width=round(2 * r))
        for x, y in fine:
            pen.ellipse([x - r, y - r, x + r, y + r], fill=255)

    return stroke


def _dome(box: Box) -> Stroke:
    """The upper half of an ellipse that fills `box` to twice its height."""
    left, top, right, bottom = (edge * FINE for edge in box)
    return lambda pen: pen.pieslice([left, top, right, 2 * bottom - top], 180, 360, fill=255)


def _scarf() -> list[Image.Image]:
    fringe = [
        _solid(_path([(x, 180), (x + 2, 196), (x + 4, 210)], (9, 9, 8)), _DARK_RED, _DEEP_RED, 2)
        for x in (160, 172, 184, 196)
    ]
    tail = _solid(_rounded([(156, 92), (186, 92), (200, 178), (160, 182)], 6), _RED, _DARK_RED)
    under = _solid(_path([(22, 42), (128, 88), (234, 42)], (36, 52, 36)), _RED, _DARK_RED, 9)
    crease = _glow(_path([(18, 56), (128, 98), (238, 56)], (10, 14, 10)), _DEEP_RED, 150, 4)
    over = _solid(_path([(28, 66), (128, 110), (228, 66)], (26, 38, 26)), _RED, _DARK_RED, 7)
    shade = _glow(_path([(150, 116), (170, 122), (190, 112)], (26, 34, 26)), _DEEP_RED, 130, 5)
    knot = _solid(_rounded([(158, 84), (184, 80), (190, 116), (160, 120)], 10), _RED, _DARK_RED, 8)
    return [*fringe, tail, under, crease, over, shade, knot]


def _mask() -> list[Image.Image]:
    straps = [
        _solid(_path(points, (6, 6, 6)), _WHITE, _LILAC, 2)
        for points in (
            [(58, 98), (30, 80), (8, 70)],
            [(58, 160), (24, 132), (8, 92)],
            [(198, 98), (226, 80), (248, 70)],
            [(198, 160), (232, 132), (248, 92)],
        )
    ]
    edge = [(62, 94), (94, 83), (128, 80), (162, 83), (194, 94), (193, 148), (182, 168), (160, 182), (128, 188),
            (96, 182), (74, 168), (63, 148)]  # fmt: skip
    panel = _solid(_rounded(edge, 12), _WHITE, _LILAC, 9)
    pleats = [_glow(_path([(56, y), (128, y + 6), (200, y)], (4, 5, 4)), _GREY_LILAC, 190, 1) for y in (108, 132, 156)]
    return [*straps, panel, *pleats]


def _goggles() -> list[Image.Image]:
    strap = _solid(_rounded([(14, 112), (242, 112), (242, 140), (14, 140)], 8), _PURPLE, _DARK_PURPLE, 5)
    frame = _solid(_rounded(_lens(0), 18), _PURPLE, _DARK_PURPLE, 6)
    lens = _solid(_rounded(_lens(4), 10), _SKY, _BLUE, 5)
    glints = [
        _glow(_path([(x, 150), (x + 17, 126), (x + 34, 102)], (w, w, w)), _WHITE, 190) for x, w in ((62, 11), (84, 6))
    ]
    return [strap, frame, lens, *glints]


def _lens(inset: float) -> list[Point]:
    """The outline of a pair of goggles, with a notch for the nose."""
    top, low, notch = 92 + inset, 164 - inset, 148 - inset
    return [(52, top), (204, top), (212 - inset, 128), (198, low), (152, low), (128, notch), (104, low), (58, low),
            (44 + inset, 128)]  # fmt: skip


def _helmet() -> list[Image.Image]:
    shell = _solid(_dome((38, 52, 218, 176)), _RED, _DARK_RED, 12)
    ridges = [
        _solid(_path([(x, 66 + drop), (x + lean, 110), (x + 1.5 * lean, 164)], (16, 18, 20)), _RED, _DARK_RED, 5)
        for x, lean, drop in ((86, -12, 8), (170, 12, 8), (128, 0, -12))
    ]
    shade = _glow(_path([(40, 168), (128, 180), (216, 168)], (14, 16, 14)), _DEEP_RED, 150, 5)
    brim = _solid(_path([(24, 180), (128, 192), (232, 180)], (22, 30, 22)), _RED, _DARK_RED, 6)
    return [shell, *ridges, shade, brim]


_PIECES: dict[str, Callable[[], list[Image.Image]]] = {
    "scarf": _scarf,
    "mask": _mask,
    "goggles": _goggles,
    "helmet": _helmet,
}


def drawn(name: str) -> Image.Image:
    """A piece that the art lacks in a form that can be worn (the name without `DRAWN`): RGBA, 256x256."""
    if name not in _PIECES:
        raise KeyError(f"no drawn piece {name!r}; there are {', '.join(_PIECES)}")
    canvas = Image.new("RGBA", (SIDE * FINE, SIDE * FINE))
    for layer in _PIECES[name]():
        canvas.alpha_composite(layer)
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
