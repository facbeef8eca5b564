"""Where things go: nothing clipped, and every relation true by the rules of `geometry`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from training.scenes.geometry import Box, relation_holds
from training.scenes.layers import Pixels, item_bounds
from training.scenes.scene import Item
from training.scenes.settings import SceneSettings
from training.scenes.world import World

TRIES = 12

ROWS: dict[int, tuple[tuple[tuple[float, float], ...], ...]] = {
    2: (((0.27, 0.52), (0.73, 0.52)),),
    3: (((0.2, 0.52), (0.5, 0.52), (0.8, 0.52)), ((0.27, 0.3), (0.73, 0.3), (0.5, 0.72)),
        ((0.5, 0.28), (0.27, 0.72), (0.73, 0.72))),
    4: (((0.27, 0.28), (0.73, 0.28), (0.27, 0.73), (0.73, 0.73)),),
}  # fmt: skip
"""Centres of equal or of three different things, by their number."""


@dataclass(frozen=True)
class Placer:
    """Moves and shrinks items so that all they show lies inside the picture."""

    world: World
    boxes: dict[str, Pixels]
    settings: SceneSettings

    def bounds(self, item: Item, dressed: bool) -> Box:
        """The box around an item, with or without what it wears and holds."""
        return item_bounds(item, self.world, self.boxes, self.settings.picture_pixels, dressed)

    def settle(self, item: Item, x: float, y: float, side: float) -> Item:
        """The item with its centre as near to x, y as the picture's edges allow; smaller where it would not fit."""
        room = 1 - 2 * self.settings.margin
        item = replace(item, x=x, y=y, side=side)
        left, top, right, bottom = self.bounds(item, dressed=True)
        excess = max(right - left, bottom - top) / room
        if excess > 1:
            item = replace(item, side=side / excess)
            left, top, right, bottom = self.bounds(item, dressed=True)
        return replace(item, x=x + self._inward(left, right), y=y + self._inward(top, bottom))

    def _inward(self, low: float, high: float) -> float:
        margin = self.settings.margin
        return max(0.0, margin - low) - max(0.0, high - (1 - margin))

    def one(self, item: Item, random: Random) -> Item:
        """A single thing: large ones near the middle, small ones anywhere."""
        side = random.uniform(*self.settings.sides[item.size])
        free = self.settings.placing["jitter"] if item.size in ("medium", "big") else 0.5 - side / 2
        return self.settle(item, 0.5 + random.uniform(-free, free), 0.5 + random.uniform(-free, free), side)

    def several(self, items: list[Item], random: Random) -> list[Item]:
        """Two to four things in a row, a triangle or a square, none hiding another."""
        centres = random.choice(ROWS[len(items)])
        row = len({y for _, y in centres}) == 1
        most = {2: 0.42, 3: 0.28 if row else 0.4, 4: 0.4}[len(items)]
        side = self._large(0.8 * most, most, random)
        shift, drop = self._about(0, 0.02, random), self._about(0, 0.08, random) if row else 0.0
        return [
            self.settle(item, x + shift, y + drop, side * self._large(0.94, 1.0, random))
            for item, (x, y) in zip(items, centres, strict=True)
        ]

    def related(self, first: Item, second: Item, relation: str, random: Random) -> tuple[Item, Item] | None:
        """Both items so that "first RELATION second" holds; None where their shapes do not allow it."""
        for _ in range(TRIES):
            a, b = self._try(first, second, relation, random)
            if relation_holds(relation, self.bounds(a, dressed=False), self.bounds(b, dressed=False)):
                return a, b
        return None

    def _side(self, item: Item, least: float, most: float, random: Random) -> float:
        """Items whose size is said keep to it."""
        if item.size != "medium":
            return random.uniform(*self.settings.sides[item.size])
        return self._large(least, most, random)

    def _large(self, least: float, most: float, random: Random) -> float:
        """A length of that range, or of the upper end of it where the settings have things vary little."""
        return random.uniform(most - (most - least) * self.settings.placing["vary"], most)

    def _about(self, middle: float, most: float, random: Random) -> float:
        """A place that far from `middle` at most, or nearer where the settings have things vary little."""
        reach = most * self.settings.placing["vary"]
        return random.uniform(middle - reach, middle + reach)

    def _try(self, first: Item, second: Item, relation: str, random: Random) -> tuple[Item, Item]:
        shift, level = self._about(0, 0.03, random), self._about(0.525, 0.075, random)
        if relation in ("left of", "right of", "next to"):
            left = relation == "left of" or (relation == "next to" and random.random() < 0.5)
            x = 0.27 if left else 0.73
            a = self.settle(first, x + shift, level, self._side(first, 0.34, 0.44, random))
            b = self.settle(second, 1 - x + shift, level, self._side(second, 0.34, 0.44, random))
            # Both stand on one line.
            low = max(a.y + self._half_height(a), b.y + self._half_height(b))
            return self._standing(a, a.x, low, a.side), self._standing(b, b.x, low, b.side)
        if relation in ("above", "below"):
            y = 0.26 if relation == "above" else 0.74
            a = self.settle(first, 0.5 + shift, y, self._side(first, 0.3, 0.42, random))
            return a, self.settle(second, 0.5 - shift, 1 - y, self._side(second, 0.3, 0.42, random))
        if relation == "on":
            b = self.settle(second, 0.5 + shift, 0.72, self._large(0.4, 0.52, random))
            top = self.bounds(b, dressed=False)[1] + random.uniform(0.03, 0.08)
            a = replace(first, x=b.x + self._about(0, 0.03, random), side=self._large(0.27, 0.38, random))
            return self._standing(a, a.x, top, a.side), b
        b = self.settle(second, 0.5 + self._about(0, 0.1, random), 0.42, self._large(0.5, 0.62, random))
        side = self._large(0.32, 0.42, random)
        away = random.choice((-1, 1)) * random.uniform(0.1, 0.2)
        low = self.bounds(b, dressed=False)[3] + random.uniform(0.04, 0.1)
        a = replace(first, x=b.x + away, side=side)
        return self._standing(a, a.x, low, side), b

    def _standing(self, item: Item, x: float, bottom: float, side: float) -> Item:
        """The item with its own lower edge at `bottom`."""
        return self.settle(item, x, bottom - self._half_height(item), side)

    def _half_height(self, item: Item) -> float:
        _, top, _, bottom = self.bounds(item, dressed=False)
        return (bottom - top) / 2
