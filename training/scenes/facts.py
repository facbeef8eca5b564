"""What the pictures of the art themselves say: their box, their colour, and which of them look alike.

    python -m training.scenes.facts [--cache FOLDER]

measures every sprite once and writes `facts.toml`, which is kept in the repository so that loading the names
needs no art.
"""

from __future__ import annotations

import argparse
import colorsys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.cache import DEFAULT_CACHE
from training.scenes.art import SPRITES, open_sprite

FACTS = Path(__file__).with_name("facts.toml")

SMALL_PIXELS = 64  # the size at which sprites are compared

# Mean differences of premultiplied RGBA, found by looking at the groups they make: people differ by their hair only,
# while a few pixels of a mouth make another face.
LOOK_ALIKE_BELOW = 0.003
PEOPLE_ALIKE_BELOW = 0.0105
SATURATED = 0.18  # chroma above which a pixel counts as coloured
HUE_WINDOW = 40.0  # degrees to either side of the dominant hue: shading bends hues
SAME_HUE_SHARE = 0.85  # this much of the coloured pixels must lie in the window
COVER_SHARE = 0.45  # this much of all pixels must lie in the window
PALE = 0.35  # mean saturation below which a shifted hue is hardly seen
GREY_SHARE = 0.85  # from this share of colourless pixels on a thing is black, grey or white

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Fact:
    """One sprite, measured.

    `hue_degrees` is the dominant hue (0..360), `colour` its name or "" where no single one rules, `recolourable`
    says that shifting the hue gives a thing of another colour. `look_alike` is the code of the sprite that stands
    for all that nobody could tell from it ("" for none). `box` holds left, top, right, bottom of what is visible
    (alpha > 8), in sprite pixels.
    """

    hue_degrees: float
    colour: str
    recolourable: bool
    look_alike: str
    box: tuple[int, int, int, int]


def load_facts(path: Path = FACTS) -> dict[str, Fact]:
    """The facts of every measured sprite, by code."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        code: Fact(hue, colour, recolourable, like, (left, top, right, bottom))
        for code, (hue, colour, recolourable, like, left, top, right, bottom) in rows.items()
    }


def is_thing(code: str) -> bool:
    """Whether a sprite is drawn at all: not flags of places, keycaps, clock faces or skin-tone variants."""
    parts = code.replace("_", "-").split("-")
    points = [int(part, 16) for part in parts if part[0] != "e" or len(part) < 5]
    flag = any(0x1F1E6 <= point <= 0x1F1FF for point in points) or len(points) < len(parts)
    keycap = 0x20E3 in points or points == [0x1F51F]
    clock = len(points) == 1 and 0x1F550 <= points[0] <= 0x1F567
    tone = any(0x1F3FB <= point <= 0x1F3FF for point in points)
    return not (flag or keycap or clock or tone)


def colour_name(hue: float, saturation: float, value: float) -> str:
    """The palette name of a colour, "" for what nobody would name (tan); hue in degrees, the others 0..1."""
    if saturation < 0.45 and (hue >= 300 or hue < 10):
        return "pink" if value > 0.8 else "brown"
    if hue >= 335 or hue < 9:
        return "red" if value > 0.5 and saturation > 0.55 else "pink" if value > 0.8 else "brown"
    if hue < 66:
        if value < 0.72 or (saturation < 0.55 and value < 0.85):
            return "brown"
        if saturation < 0.5:
            return ""
        return "orange" if hue < 34.5 else "yellow"
    if value < 0.4 and saturation < 0.6:
        return "black"
    if saturation < 0.25:
        return "white" if value > 0.85 else "grey"
    if hue < 170:
        return "green"
    if hue < 245:
        return "blue"
    if hue < 292:
        return "purple"
    return "purple" if value < 0.6 else "pink"


def measure_colour(rgba: Pixels) -> tuple[float, str, bool]:
    """Dominant hue in degrees, its name or "", and whether the hue may be shifted; `rgba` is (h, w, 4) in 0..1."""
    pixels = rgba[rgba[..., 3] > 0.5][:, :3]
    high, low = pixels.max(axis=1), pixels.min(axis=1)
    chroma = high - low
    hues = _hues(pixels, high, chroma)
    coloured = chroma > SATURATED
    if coloured.mean() < 1 - GREY_SHARE:
        light = float(np.median(high))
        return 0.0, "black" if light < 0.42 else "white" if light > 0.82 else "grey", False
    counts = np.bincount((hues[coloured] / 5).astype(int) % 72, weights=chroma[coloured], minlength=72)
    smooth = sum(np.roll(counts, step) for step in (-3, -2, -1, 0, 1, 2, 3))
    peak = float(np.argmax(smooth)) * 5 + 2.5
    away = np.abs((hues - peak + 180) % 360 - 180)
    window = coloured & (away <= HUE_WINDOW)
    same = chroma[window].sum() / chroma[coloured].sum()
    cover = float(window.mean())
    mean = pixels[window].mean(axis=0)
    hue, saturation, value = colorsys.rgb_to_hsv(*(float(channel) for channel in mean))
    ruled = bool(same > SAME_HUE_SHARE and cover > COVER_SHARE)
    name = colour_name(hue * 360, saturation, value) if ruled else ""
    return hue * 360, name, ruled and saturation > PALE and name not in ("black", "white", "grey")


def _hues(pixels: Pixels, high: Pixels, chroma: Pixels) -> Pixels:
    red, green, blue = pixels.T
    safe = np.maximum(chroma, 1e-6)
    sector = np.where(
        high == red,
        ((green - blue) / safe) % 6,
        np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return np.asarray(sector * 60, dtype=np.float32)


def look_alikes(codes: list[str], small: Pixels) -> dict[str, str]:
    """Code -> the code that stands for its group; `small` is (n, features), premultiplied. Shortest code first."""
    order = sorted(range(len(codes)), key=lambda index: _rank(codes[index]))
    stands: dict[str, str] = {}
    leaders: list[int] = []
    for index in order:
        if leaders:
            away = np.abs(small[leaders] - small[index]).mean(axis=1)
            nearest = int(np.argmin(away))
            stand = codes[leaders[nearest]]
            people = "-200d-" in codes[index]  # a joined character is a variant of people, hardly ever of a thing
            if away[nearest] < (PEOPLE_ALIKE_BELOW if people else LOOK_ALIKE_BELOW):
                stands[codes[index]] = stand
                continue
        leaders.append(index)
    return {code: stands.get(code, "") for code in codes} | {code: code for code in stands.values()}


def _rank(code: str) -> tuple[int, bool, str]:
    """Plainest first: few joined characters, a person of no said gender before man and woman."""
    return code.count("-200d-"), code.startswith(("1f468", "1f469")), code


def main() -> None:
    """Measure all sprites and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    cache = parser.parse_args().cache
    codes = sorted(path.stem for path in (cache / SPRITES).glob("*.webp") if is_thing(path.stem))
    small, rows = [], []
    for code in codes:
        sprite = open_sprite(cache, code)
        box = sprite.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox() or (0, 0, 0, 0)
        shrunk = np.asarray(sprite.resize((SMALL_PIXELS, SMALL_PIXELS)), dtype=np.float32) / 255
        small.append((shrunk * np.append(shrunk[..., 3:].repeat(3, 2), np.ones_like(shrunk[..., 3:]), 2)).ravel())
        rows.append((measure_colour(shrunk.astype(np.float32)), box))
    alike = look_alikes(codes, np.stack(small))
    lines = ["# Written by `python -m training.scenes.facts`.", "# hue, colour, recolourable, look-alike, box"]
    for code, ((hue, colour, recolourable), box) in zip(codes, rows, strict=True):
        values = ", ".join(str(side) for side in box)
        flag = str(recolourable).lower()
        lines.append(f'{code} = [{hue:.0f}, "{colour}", {flag}, "{alike[code]}", {values}]')
    FACTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(codes)} sprites, {len({stand for stand in alike.values() if stand})} groups of look-alikes")


if __name__ == "__main__":
    main()
