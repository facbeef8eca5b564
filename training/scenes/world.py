"""Everything that can be drawn, and what it is called: things, wearables, colours, backgrounds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Noun:
    """One English name: "apple", its plural "apples", and its article "an" ("" for "glasses", "grapes")."""

    one: str
    many: str
    article: str


@dataclass(frozen=True)
class Anchor:
    """A place on a sprite, in sprite pixels (0..256): the centre of what goes there, its width, its tilt in degrees
    (counterclockwise). For "head", x and y are the middle of the hat's lower edge; for "neck", of the scarf;
    for "hand", the centre of what is held."""

    x: float
    y: float
    width: float
    angle: float = 0.0


@dataclass(frozen=True)
class Grip:
    """How a thing is held: the point of its sprite, in its own pixels, that lies in the hand; its longer side, in
    its holder's pixels, in a hand of common width; how far it is turned there, in degrees counterclockwise."""

    x: float
    y: float
    side: float
    angle: float = 0.0


@dataclass(frozen=True)
class Thing:
    """One sprite and its names.

    `key` is a stable short identifier ("red_apple"), `code` the sprite's file name without suffix. `english[0]` and
    `chinese[0]` are the plainest names. `measure` is the Chinese counter. `colour` is the name of its own colour when
    it has one that a person would name, else "". `recolours` are the colours it may be hue-shifted to.
    `look_alike` is the key of the thing that stands for all whose picture nobody could tell from it ("" for none).
    `group` is a coarse kind: "animal", "face", "person", "food", "plant", "vehicle", "place", "symbol", "object", ...
    `floats` says that it casts no shadow on a ground (sun, heart, symbol).
    `weight` is how often it is drawn, 1.0 for plain things that people ask for, less for obscure ones.
    """

    key: str
    code: str
    english: tuple[Noun, ...]
    chinese: tuple[str, ...]
    measure: str
    group: str
    colour: str = ""
    recolours: tuple[str, ...] = ()
    look_alike: str = ""
    floats: bool = False
    weight: float = 1.0
    anchors: dict[str, Anchor] = field(default_factory=dict)


@dataclass(frozen=True)
class Wearable:
    """Something worn at an anchor ("eyes", "head", "neck", "mouth"); held things are ordinary things.

    `code` is its sprite, or the name of a drawn one (`drawn:scarf`). `fit` is its width over the anchor's;
    `rise` how far it is moved up, in its own heights, from sitting centred on the anchor
    (0.5 for hats: the lower edge on the anchor).
    """

    key: str
    code: str
    anchor: str
    english: tuple[Noun, ...]
    chinese: tuple[str, ...]
    fit: float = 1.0
    rise: float = 0.0


@dataclass(frozen=True)
class World:
    """All of it, by key; `grips` by sprite code, for the `holdables`. `colours` and `grounds` map each
    colour and each background kind to its names:
    ("en", "zh") -> names, the plainest first."""

    things: dict[str, Thing]
    wearables: dict[str, Wearable]
    holdables: tuple[str, ...]
    colours: dict[str, dict[str, tuple[str, ...]]]
    grounds: dict[str, dict[str, tuple[str, ...]]]
    grips: dict[str, Grip] = field(default_factory=dict)
