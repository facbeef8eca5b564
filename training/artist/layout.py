"""What lies where in a picture, for a head that reads it from the UNet's own features while it learns.

A UNet that must tell, from noise and a caption, which thing will fill which cell learns to read before it learns to
paint: the cross entropy of a class says more than the squared error of a blur. (Supervised from our scenes, where
REPA, Yu et al. 2024, arXiv:2410.06940, aligns such features with those of a pretrained network.) The head is not
part of the model that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from training.scenes.geometry import Box
from training.scenes.scene import BACKGROUNDS, COLOURS, Scene
from training.scenes.studio import Studio
from training.scenes.world import World

SIDE = 16
"""Cells a side, two latents each."""


@dataclass(frozen=True)
class Layout:
    """For n pictures: the class of each cell (n, 16, 16), things first and then backgrounds; the thing's colour there
    (0 for its own); what it wears as bits. int16 each, to be small."""

    kind: Tensor
    colour: Tensor
    worn: Tensor


class Mapper:
    """Scenes to layouts."""

    def __init__(self, world: World) -> None:
        self.things = {key: number for number, key in enumerate(world.things)}
        self.worn = {key: 1 << number for number, key in enumerate(world.wearables)}
        self.kinds = len(self.things) + len(BACKGROUNDS)

    def layout(self, scenes: list[Scene], studio: Studio) -> Layout:
        """The layouts of scenes whose items' boxes `studio` knows; each item fills the ellipse in its box."""
        shape = (len(scenes), SIDE, SIDE)
        kind, colour, worn = (torch.zeros(shape, dtype=torch.int16) for _ in range(3))
        for number, scene in enumerate(scenes):
            kind[number] = len(self.things) + BACKGROUNDS.index(scene.background.kind)
            for item, box in zip(scene.items, studio.boxes(scene), strict=True):
                inside = ellipse(box)
                kind[number][inside] = self.things[item.thing]
                colour[number][inside] = COLOURS.index(item.colour) + 1 if item.colour else 0
                worn[number][inside] = sum(self.worn[key] for key in item.wearing)
        return Layout(kind, colour, worn)


def ellipse(box: Box) -> Tensor:
    """The cells whose middle lies in the ellipse of a box: bool (16, 16)."""
    middle = (torch.arange(SIDE) + 0.5) / SIDE
    left, top, right, bottom = box
    across = (middle - (left + right) / 2) / ((right - left) / 2)
    down = (middle - (top + bottom) / 2) / ((bottom - top) / 2)
    return across[None] ** 2 + down[:, None] ** 2 < 1


class LayoutHead(nn.Module):
    """Reads a layout from features (n, width, 16, 16)."""

    def __init__(self, width: int, mapper: Mapper) -> None:
        super().__init__()
        self.sizes = (mapper.kinds, len(COLOURS) + 1, len(mapper.worn))
        self.things = len(mapper.things)
        self.read = nn.Conv2d(width, sum(self.sizes), 1)

    def loss(self, features: Tensor, kind: Tensor, colour: Tensor, worn: Tensor) -> Tensor:
        """Sum of the mean cross entropies of kind (everywhere), colour and clothes (where things are)."""
        kinds, colours, clothes = self.read(features).float().permute(0, 2, 3, 1).split(self.sizes, dim=-1)
        kind, colour = kind.long(), colour.long()
        on_thing = kind < self.things
        loss = cross_entropy(kinds.flatten(0, 2), kind.flatten())
        if on_thing.any():
            bits = (worn[on_thing].long()[:, None] >> torch.arange(clothes.shape[-1], device=worn.device)) & 1
            loss = loss + 0.3 * cross_entropy(colours[on_thing], colour[on_thing])
            loss = loss + binary_cross_entropy_with_logits(clothes[on_thing], bits.float())
        return loss
