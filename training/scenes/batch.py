"""Draw many scenes at once with PyTorch, the art in the device's memory: the way of a GPU.

`BatchStudio` turns a `Blueprint`, made in this process or another, into pictures with tensor operations alone.
They are those of `Studio`, but for rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, conv2d, grid_sample, interpolate, max_pool2d

from training.scenes.bank import Bank
from training.scenes.blueprint import SHADOW, SPRITE, Blueprint
from training.scenes.colours import recolour
from training.scenes.draw import LEVELS, SHADOW_STRENGTH
from training.scenes.grounds import draw_ground
from training.scenes.palette import RECOLOURS
from training.scenes.scene import STYLES, Background
from training.scenes.styles import CELLS, RIM_BLUR, RIM_SHARE, SHADES
from training.scenes.world import World


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
