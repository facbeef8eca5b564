"""A batch of scenes in numbers: what Python makes of them, for a device to draw. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.scenes.draw import level_of, shadow_of
from training.scenes.layers import layers_of
from training.scenes.palette import RECOLOURS
from training.scenes.scene import STYLES, Background, Scene
from training.scenes.sprites import sprite_boxes, sprite_numbers
from training.scenes.world import World

NOTHING, SPRITE, SHADOW = 0, 1, 2


@dataclass(frozen=True)
class Blueprint:
    """A batch of n scenes in numbers, at most m pieces each, from back to front.

    `kind`, `sprite`, `colour`, `level` are (n, m) integers (`colour` 0 for the sprite's own, else 1 + its place in
    `RECOLOURS`); `numbers` is (n, m, 6): for sprites the affine map from the picture to the sprite, both in shares
    -1..1, row by row; for shadows centre x, y and radii in pixels. `grounds` and `styles` have n entries.
    """

    kind: NDArray[np.int64]
    sprite: NDArray[np.int64]
    colour: NDArray[np.int64]
    level: NDArray[np.int64]
    numbers: NDArray[np.float32]
    grounds: list[Background]
    styles: NDArray[np.int64]


class Drafter:
    """Makes blueprints; light enough for worker processes."""

    def __init__(self, world: World, picture_pixels: int = 256) -> None:
        self.world, self.picture_pixels = world, picture_pixels
        self.boxes = sprite_boxes(world)
        self.number = sprite_numbers(world)

    def draft(self, scenes: list[Scene]) -> Blueprint:
        """The numbers of some scenes."""
        side = self.picture_pixels
        pieces = [layers_of(scene, self.world, self.boxes, side) for scene in scenes]
        shape = (len(scenes), max(len(layers) for layers in pieces))
        kind, sprite, colour, level = (np.zeros(shape, np.int64) for _ in range(4))
        numbers = np.zeros((*shape, 6), np.float32)
        for n, layers in enumerate(pieces):
            for m, layer in enumerate(layers):
                if not layer.code:
                    kind[n, m] = SHADOW
                    numbers[n, m, :4] = shadow_of(layer, side)
                    continue
                kind[n, m], sprite[n, m], level[n, m] = SPRITE, self.number[layer.code], level_of(layer.matrix)
                colour[n, m] = 1 + RECOLOURS.index(layer.colour) if layer.colour else 0
                numbers[n, m] = _back_in_shares(layer.matrix, side).ravel()
        styles = np.array([STYLES.index(scene.style) for scene in scenes])
        return Blueprint(kind, sprite, colour, level, numbers, [scene.background for scene in scenes], styles)


def _back_in_shares(matrix: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Turns a map from sprite pixels (0..256) to picture pixels into the way back, both ends from -1 to 1."""
    back = np.linalg.inv(matrix[:, :2])
    shift = back @ (side / 2 - matrix[:, 2])
    return np.column_stack([back * side / 256, (shift - 128) / 128])
