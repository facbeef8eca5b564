"""A world of two things, a disc and a square, drawn without art, to try the judge on."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from training.judge.classes import Classes
from training.judge.labels import Box
from training.scenes.scene import Background, Item, Scene

SIDE_PIXELS = 128
PAINT = {"red": (220, 40, 40), "blue": (40, 70, 220), "white": (255, 255, 255), "green": (60, 180, 70)}

CLASSES = Classes(
    things=("", "disc", "square"),
    wearables=("hat", "scarf"),
    holdables=("", "flag"),
    groups=("round", "straight"),
    alike={"disc": "disc", "coin": "disc", "square": "square"},
    own_colours={"disc": "red", "square": ""},
    group_of={"disc": "round", "square": "straight"},
)


class StandInSampler:
    """One or two things, left and right, red or blue, on white or green."""

    def scene(self, random: Random) -> Scene:
        places = random.choice(([0.3], [0.7], [0.27, 0.73]))
        items = tuple(self._item(x, random) for x in places)
        return Scene(items, Background("plain", (random.choice(("white", "green")),)))

    def _item(self, x: float, random: Random) -> Item:
        thing, colour = random.choice(("disc", "square")), random.choice(("red", "blue"))
        return Item(thing, x, random.uniform(0.35, 0.65), random.uniform(0.25, 0.38), "small", colour)


class StandInStudio:
    """Flat shapes."""

    def pictures(self, scenes: list[Scene]) -> NDArray[np.uint8]:
        return np.stack([self._picture(scene) for scene in scenes])

    def boxes(self, scene: Scene) -> list[Box]:
        return [
            (item.x - item.side / 2, item.y - item.side / 2, item.x + item.side / 2, item.y + item.side / 2)
            for item in scene.items
        ]

    def _picture(self, scene: Scene) -> NDArray[np.uint8]:
        picture = np.empty((SIDE_PIXELS, SIDE_PIXELS, 3), np.uint8)
        picture[:] = PAINT[scene.background.colours[0]]
        middle = (np.arange(SIDE_PIXELS) + 0.5) / SIDE_PIXELS
        for item in scene.items:
            across, down = abs(middle - item.x)[None] / item.side * 2, abs(middle - item.y)[:, None] / item.side * 2
            inside = across**2 + down**2 < 1 if item.thing == "disc" else np.maximum(across, down) < 1
            picture[inside] = PAINT[item.colour]
        return picture
