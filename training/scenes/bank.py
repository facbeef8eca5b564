"""All sprites of a world as tensors on a device, at full, half and quarter size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from training.scenes.art import SPRITE_PIXELS
from training.scenes.draw import LEVELS
from training.scenes.facts import load_facts
from training.scenes.sprites import open_piece, sprite_numbers
from training.scenes.world import World


class Bank:
    """`sprites[level]`: uint8 (n, 4, 256 >> level, 256 >> level), RGB not premultiplied and alpha.
    `number[code]` is a sprite's row, `hue_degrees` (n,) its own hue. 1,500 sprites take 530 MB."""

    def __init__(self, world: World, cache: Path, device: torch.device) -> None:
        self.number = sprite_numbers(world)
        facts = load_facts()
        hues = [facts[code].hue_degrees if code in facts else 0.0 for code in self.number]
        self.hue_degrees = torch.tensor(hues, device=device)
        full = torch.empty(len(self.number), 4, SPRITE_PIXELS, SPRITE_PIXELS, dtype=torch.uint8, device=device)
        for code, row in self.number.items():
            full[row] = torch.from_numpy(np.array(open_piece(cache, code))).permute(2, 0, 1)
        self.sprites = [full]
        for _ in range(LEVELS - 1):
            self.sprites.append(torch.cat([_halved(part) for part in self.sprites[-1].split(64)]))


def _halved(sprites: Tensor) -> Tensor:
    """Half the size; colours are averaged by their alpha, lest hidden ones show."""
    values = sprites.float() / 255
    alpha = avg_pool2d(values[:, 3:], 2)
    colour = avg_pool2d(values[:, :3] * values[:, 3:], 2) / alpha.clamp_min(1e-4)
    return (torch.cat([colour.clamp(0, 1), alpha], dim=1) * 255 + 0.5).to(torch.uint8)
