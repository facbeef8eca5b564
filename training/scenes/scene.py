"""What a picture shows. The picture, its captions and the judge's answers are all made from a `Scene`.

Lengths are shares of the picture's side, 0..1, x to the right and y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

SIZES = ("tiny", "small", "medium", "big")
"""Named sizes by the longer side of an object's visible part (see `scenes.toml`); "medium" goes unsaid."""

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
"""Colours an object or a plain background can have; not every colour serves both."""

BACKGROUNDS = ("plain", "gradient", "sky", "grass", "sea", "night", "snow", "sunset")

RELATIONS = ("left of", "right of", "above", "below", "on", "next to", "in front of")
"""How the first object of a scene of two lies to the second: "a cat left of a dog"."""

STYLES = ("", "sticker", "black and white", "pixel art")
"""A treatment of the whole picture; "" is the art as it is."""


@dataclass(frozen=True)
class Item:
    """One object in its place.

    `thing`, each of `wearing` and `holding` are keys of `World`. `x`, `y` are the centre of the visible part of
    the object itself (without what it wears or holds), `side` the longer side of that part.
    `colour` is "" for the art's own colours, else one of `COLOURS`. `angle` is in degrees, counterclockwise;
    `mirrored` flips left and right first.
    """

    thing: str
    x: float
    y: float
    side: float
    size: str = "medium"
    colour: str = ""
    wearing: tuple[str, ...] = ()
    holding: str = ""
    mirrored: bool = False
    angle: float = 0.0


@dataclass(frozen=True)
class Background:
    """What lies behind. `colours` has one entry for "plain", two for "gradient", none otherwise; `variant` picks
    among the drawings of one kind and is never said."""

    kind: str
    colours: tuple[str, ...] = ()
    variant: int = 0


@dataclass(frozen=True)
class Scene:
    """Everything a picture shows; `items` from back to front.

    A scene of one object has one item, a count ("three red apples") has equal items, and a scene of two or three
    things has different ones. `relation` is set for two different things only and reads
    "`items[subject]` RELATION the other item".
    """

    items: tuple[Item, ...]
    background: Background
    relation: str = ""
    subject: int = 0
    style: str = ""

    @property
    def count(self) -> int:
        """How many equal objects there are; 1 where they differ."""
        same = len({(item.thing, item.colour) for item in self.items}) == 1
        return len(self.items) if same else 1
