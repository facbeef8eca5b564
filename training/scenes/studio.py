"""Draw scenes on the CPU: sprites, their recoloured and halved forms and the backgrounds are kept as they come up."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training.scenes.colours import recolour
from training.scenes.draw import Picture, draw_scene
from training.scenes.facts import load_facts
from training.scenes.geometry import Box
from training.scenes.grounds import draw_ground
from training.scenes.layers import item_bounds, layers_of
from training.scenes.scene import Scene
from training.scenes.sprites import open_piece, sprite_boxes
from training.scenes.world import World

SPRITES_KEPT, GROUNDS_KEPT = 4000, 512


class Studio:
    """Pictures of scenes. `cache` holds the fetched art."""

    def __init__(self, world: World, cache: Path, picture_pixels: int = 256) -> None:
        self.world, self.cache, self.picture_pixels = world, cache, picture_pixels
        self.boxes_of = sprite_boxes(world)
        self._facts = load_facts()
        self._sprite = lru_cache(SPRITES_KEPT)(self._open)
        self._ground = lru_cache(GROUNDS_KEPT)(lambda background: draw_ground(background, picture_pixels))

    def picture(self, scene: Scene) -> Picture:
        """One scene: uint8 (side, side, 3)."""
        layers = layers_of(scene, self.world, self.boxes_of, self.picture_pixels)
        return draw_scene(layers, self._ground(scene.background), scene.style, self._sprite)

    def pictures(self, scenes: list[Scene]) -> NDArray[np.uint8]:
        """uint8 (n, side, side, 3)."""
        return np.stack([self.picture(scene) for scene in scenes])

    def boxes(self, scene: Scene) -> list[Box]:
        """Each item's own visible part, without what it wears or holds."""
        side = self.picture_pixels
        return [item_bounds(item, self.world, self.boxes_of, side, dressed=False) for item in scene.items]

    def _open(self, code: str, colour: str, level: int) -> Image.Image:
        if level:
            whole = self._sprite(code, colour, 0)
            return whole.resize((whole.width >> level, whole.height >> level), Image.Resampling.BOX)
        sprite = open_piece(self.cache, code)
        if not colour:
            return sprite
        values = torch.from_numpy(np.asarray(sprite, np.float32) / 255).permute(2, 0, 1)[None]
        hue = torch.tensor([self._facts[code].hue_degrees])
        changed = recolour(values, hue, colour)[0].permute(1, 2, 0)
        return Image.fromarray((changed.numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8), "RGBA")
