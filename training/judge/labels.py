"""Numbers for what a scene shows: what the two networks learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.judge.classes import COLOUR_CLASSES, Classes
from training.scenes.geometry import Box, area, shared_area
from training.scenes.saying import is_grey
from training.scenes.scene import Item, Scene

UNKNOWN = -1
"""A label that nobody can tell from the picture; it takes no part in the loss."""

MAX_ITEMS = 6
COVERED_FROM = 0.03
"""An item counts as covered when a later one's box overlaps at least this share of its own."""


@dataclass(frozen=True)
class ItemLabels:
    """Numbers of one item: indices into the lists of `Classes`, `wearing` as zeros and ones."""

    thing: int
    colour: int
    wearing: NDArray[np.float32]
    holding: int
    covered: float


@dataclass(frozen=True)
class Numbers:
    """Looks numbers up for names."""

    classes: Classes

    def __post_init__(self) -> None:
        object.__setattr__(self, "_things", {name: index for index, name in enumerate(self.classes.things)})

    def item(self, item: Item, covered: bool, grey: bool) -> ItemLabels:
        """Labels of an item; `grey` says that the picture shows no colours."""
        classes = self.classes
        things: dict[str, int] = self._things  # type: ignore[attr-defined]
        return ItemLabels(
            thing=things[classes.class_of(item.thing)],
            colour=UNKNOWN if grey else COLOUR_CLASSES.index(item.colour),
            wearing=np.array([name in item.wearing for name in classes.wearables], np.float32),
            holding=classes.holdables.index(item.holding),
            covered=float(covered),
        )

    def nothing(self) -> ItemLabels:
        """Labels of a box without an object."""
        none = np.full(len(self.classes.wearables), UNKNOWN, np.float32)
        return ItemLabels(thing=0, colour=UNKNOWN, wearing=none, holding=UNKNOWN, covered=UNKNOWN)

    def ground(self, scene: Scene) -> tuple[int, NDArray[np.float32], int]:
        """The background's kind, its colours as zeros and ones (all `UNKNOWN` where none can be told), the style."""
        classes = self.classes
        colours = np.full(len(classes.colours), UNKNOWN, np.float32)
        if scene.background.colours and not is_grey(scene):
            colours = np.array([name in scene.background.colours for name in classes.colours], np.float32)
        return classes.backgrounds.index(scene.background.kind), colours, classes.styles.index(scene.style)

    def groups(self, scene: Scene) -> NDArray[np.float32]:
        """Which coarse kinds of things are there, as zeros and ones."""
        classes = self.classes
        shown = {classes.group_of[classes.class_of(item.thing)] for item in scene.items}
        return np.array([name in shown for name in classes.groups], np.float32)


def covered(boxes: Sequence[Box]) -> list[bool]:
    """Which of the items, from back to front, lie partly behind a later one (by their boxes)."""
    return [
        any(shared_area(box, later) > COVERED_FROM * area(box) for later in boxes[index + 1 :])
        for index, box in enumerate(boxes)
    ]


def overlap_share(first: Box, second: Box) -> float:
    """Intersection over union, 0..1."""
    shared = shared_area(first, second)
    return shared / max(1e-9, area(first) + area(second) - shared)
