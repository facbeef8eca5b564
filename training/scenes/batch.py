"""Draw many scenes at once with PyTorch, the art in the device's memory: the way of a GPU.

`Blueprint` is the part that Python makes of scenes (it may be made in other processes); `BatchStudio` turns
it into pictures with nothing but tensor operations. The pictures are those of `Studio`, but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, conv2d, grid_sample, interpolate, max_pool2d

from training.scenes.bank import Bank
from training.scenes.boxes import sprite_boxes
from training.scenes.colours import RECOLOURS, recolour
from training.scenes.draw import LEVELS, SHADOW_STRENGTH, level_of, shadow_of
from training.scenes.grounds import draw_ground
from training.scenes.layers import layers_of
from training.scenes.scene import STYLES, Background, Scene
from training.scenes.styles import CELLS, RIM_BLUR, RIM_SHARE, SHADES
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
        codes = [thing.code for thing in world.things.values()] + [piece.code for piece in world.wearables.values()]
        self.number = {code: row for row, code in enumerate(dict.fromkeys(codes))}

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


class BatchStudio:
    """Pictures from blueprints, on any device."""

    def __init__(self, world: World, cache: Path, device: str, picture_pixels: int = 256) -> None:
        self.picture_pixels, self.device = picture_pixels, torch.device(device)
        self.bank = Bank(world, cache, self.device)
        self._grounds: dict[Background, Tensor] = {}

    @torch.no_grad()
    def draw(self, plan: Blueprint) -> Tensor:
        """uint8 (n, 3, side, side) on the device."""
        count, slots = plan.kind.shape
        side = self.picture_pixels
        front = torch.zeros(count, 4, side, side, device=self.device)
        numbers = torch.from_numpy(plan.numbers).to(self.device)
        for slot in range(slots):
            for level in range(LEVELS):
                rows = np.flatnonzero((plan.kind[:, slot] == SPRITE) & (plan.level[:, slot] == level))
                if len(rows):
                    sprites = self._sprites(plan.sprite[rows, slot], plan.colour[rows, slot], level)
                    at = torch.from_numpy(rows).to(self.device)
                    shape = [len(rows), 4, side, side]
                    grid = affine_grid(numbers[at, slot].view(-1, 2, 3), shape, align_corners=False)
                    _over(front, at, grid_sample(sprites, grid, align_corners=False))
            rows = np.flatnonzero(plan.kind[:, slot] == SHADOW)
            if len(rows):
                at = torch.from_numpy(rows).to(self.device)
                _over(front, at, self._shadows(numbers[at, slot, :4]))
        grounds = torch.stack([self._ground(background) for background in plan.grounds]).float() / 255
        return _styled(front, grounds, torch.from_numpy(plan.styles).to(self.device))

    def _sprites(self, numbers: NDArray[np.int64], colours: NDArray[np.int64], level: int) -> Tensor:
        """Premultiplied float sprites (k, 4, s, s), recoloured where asked."""
        at = torch.from_numpy(numbers).to(self.device)
        sprites = self.bank.sprites[level][at].float() / 255
        for place, name in enumerate(RECOLOURS):
            rows = np.flatnonzero(colours == place + 1)
            if len(rows):
                those = torch.from_numpy(rows).to(self.device)
                sprites[those] = recolour(sprites[those], self.bank.hue_degrees[at[those]], name)
        return torch.cat([sprites[:, :3] * sprites[:, 3:], sprites[:, 3:]], dim=1)

    def _shadows(self, ellipses: Tensor) -> Tensor:
        """Soft black ellipses (k, 4, side, side) from centres and radii (k, 4)."""
        at = torch.arange(self.picture_pixels, device=self.device) + 0.5
        x, y, wide, high = (ellipses[:, i, None] for i in range(4))
        columns, rows = (((at - x) / wide) ** 2)[:, None], (((at - y) / high) ** 2)[:, :, None]
        alpha = SHADOW_STRENGTH * torch.exp(-1.6 * (rows + columns))
        near = (columns < 1.6**2) & (rows < 2.5**2)
        return torch.stack([torch.zeros_like(alpha)] * 3 + [alpha * near], dim=1)

    def _ground(self, background: Background) -> Tensor:
        if background not in self._grounds:
            picture = torch.from_numpy(draw_ground(background, self.picture_pixels))
            self._grounds[background] = picture.permute(2, 0, 1).to(self.device)
        return self._grounds[background]


def _back_in_shares(matrix: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Turns a map from sprite pixels (0..256) to picture pixels into the way back, both ends from -1 to 1."""
    back = np.linalg.inv(matrix[:, :2])
    shift = back @ (side / 2 - matrix[:, 2])
    return np.column_stack([back * side / 256, (shift - 128) / 128])


def _over(front: Tensor, rows: Tensor, pieces: Tensor) -> None:
    front[rows] = front[rows] * (1 - pieces[:, 3:]) + pieces


def _styled(front: Tensor, grounds: Tensor, styles: Tensor) -> Tensor:
    """What `styles.outline` and `styles.finish` do, for a batch."""
    sticker, grey, pixels = ((styles == STYLES.index(name)).nonzero()[:, 0] for name in STYLES[1:])
    if len(sticker):
        rim = _rims(front[sticker, 3:])
        grounds[sticker] = grounds[sticker] * (1 - rim) + rim
    picture = front[:, :3] + grounds * (1 - front[:, 3:])
    if len(grey):
        weights = torch.tensor([0.299, 0.587, 0.114], device=picture.device).view(1, 3, 1, 1)
        picture[grey] = (picture[grey] * weights).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    if len(pixels):
        cells = avg_pool2d(picture[pixels], picture.shape[-1] // CELLS)
        picture[pixels] = interpolate((cells * (SHADES - 1)).round() / (SHADES - 1), picture.shape[-2:])
    return (picture * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def _rims(alpha: Tensor) -> Tensor:
    reach = round(RIM_SHARE * alpha.shape[-1])
    grown = max_pool2d((alpha > 0.5).float(), 2 * reach + 1, stride=1, padding=reach)
    at = torch.arange(-4, 5, device=alpha.device)
    window = torch.exp(-at.square() / (2 * RIM_BLUR**2))
    window = window / window.sum()
    across = conv2d(grown, window.view(1, 1, 1, 9), padding=(0, 4))
    return conv2d(across, window.view(1, 1, 9, 1), padding=(4, 0))
