"""What sprites wear and hold, and where it goes: the tables beside this file.

Positions are in pixels of 256x256 sprites, x to the right and y downwards; angles in degrees, counterclockwise.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.scenes.world import Anchor, Grip, Noun, Wearable

PLACES = ("eyes", "head", "neck", "mouth", "hand")
"""The names of anchors."""

HAND = 48.0  # the width of the hand for which a held thing's `side` is meant

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Placement:
    """Where the centre of a worn or held sprite's visible box goes, in the wearer's pixels (it may lie outside);
    `scale` is wearer's pixels per worn sprite's pixel; then it is turned by `angle` about that centre."""

    x: float
    y: float
    scale: float
    angle: float


def load_anchors() -> dict[str, dict[str, Anchor]]:
    """The anchors of each annotated sprite: code -> place -> anchor."""
    table = _read("anchors.toml")
    rows: list[tuple[str, dict[str, Any]]] = list(table["sprites"].items())
    for shared in table["shared"].values():
        places = {place: numbers for place, numbers in shared.items() if place != "codes"}
        rows += [(code, places) for code in shared["codes"]]
    anchors: dict[str, dict[str, Anchor]] = {}
    for code, places in rows:
        if code in anchors:
            raise ValueError(f"anchors.toml has two rows for {code}")
        if unknown := set(places) - set(PLACES):
            raise ValueError(f"anchors.toml, {code}: no such place as {sorted(unknown)}")
        anchors[code] = {place: Anchor(*map(float, numbers)) for place, numbers in places.items()}
    return anchors


def load_wearables() -> dict[str, Wearable]:
    """Everything that can be worn, by key."""
    wearables = {}
    for key, row in _read("wearables.toml")["wearables"].items():
        names = {"english": tuple(Noun(*names) for names in row["english"]), "chinese": tuple(row["chinese"])}
        wearables[key] = Wearable(key=key, **(row | names))
    return wearables


def load_holdables() -> dict[str, Grip]:
    """How each sprite that can be held is held, by code."""
    grips: dict[str, Grip] = {}
    for code, row in _read("wearables.toml")["holdables"].items():
        x, y = row["grip"]
        grips[code] = Grip(float(x), float(y), float(row["side"]), float(row.get("angle", 0)))
    return grips


def place_worn(wearable: Wearable, anchor: Anchor, box: Box) -> Placement:
    """Lay a wearable, whose visible box (left, top, right, bottom) is given in its own pixels, on an anchor."""
    left, top, right, bottom = box
    scale = wearable.fit * anchor.width / (right - left)
    x, y = _turned((0.0, -wearable.rise * (bottom - top) * scale), anchor.angle)
    return Placement(anchor.x + x, anchor.y + y, scale, anchor.angle)


def place_held(grip: Grip, anchor: Anchor, box: Box) -> Placement:
    """Put a held thing, whose visible box is given in its own pixels, into a hand: its grip lies on the anchor."""
    left, top, right, bottom = box
    scale = grip.side / max(right - left, bottom - top) * anchor.width / HAND
    to_centre = ((left + right) / 2 - grip.x, (top + bottom) / 2 - grip.y)
    angle = anchor.angle + grip.angle
    x, y = _turned((to_centre[0] * scale, to_centre[1] * scale), angle)
    return Placement(anchor.x + x, anchor.y + y, scale, angle)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _turned(offset: Point, angle: float) -> Point:
    """`offset` turned counterclockwise, as seen with y downwards."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    return offset[0] * cosine + offset[1] * sine, offset[1] * cosine - offset[0] * sine
