"""Scenes drawn while a training runs: the source of pictures on a GPU, where drawing costs less than reading."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from torch import Tensor

from training.scenes.batch import BatchStudio
from training.scenes.drafts import Drafts
from training.scenes.sampler import Sampler
from training.scenes.world import World


class Live:
    """A ring of pictures on a device, some of them new at every call; offers what `Pool` does."""

    def __init__(
        self, world: World, cache: Path, device: str, seed: int, keep: int = 4096, fresh: int = 64, processes: int = 8
    ) -> None:
        self.drafts = Drafts(Sampler(world), seed, fresh, processes)
        self.studio = BatchStudio(world, cache, device)
        self.place = 0
        self.ring = torch.cat([self._draw() for _ in range(-(-keep // fresh))])

    def __len__(self) -> int:
        return len(self.ring)

    def pictures(self, numbers: list[int]) -> Tensor:
        """uint8 (n, 3, side, side) on the device, of those in the ring now."""
        return self.ring[torch.tensor(numbers, device=self.ring.device)]

    def crops(self, count: int, side: int, random: Random) -> Tensor:
        """Crops at random places of random pictures, half of them mirrored: uint8 (count, 3, side, side)."""
        new = self._draw()
        places = torch.arange(self.place, self.place + len(new)) % len(self.ring)
        self.ring[places.to(self.ring.device)] = new
        self.place = int(places[-1] + 1) % len(self.ring)
        parts = []
        for _ in range(count):
            picture = self.ring[random.randrange(len(self.ring))]
            top, left = (random.randint(0, picture.shape[-1] - side) for _ in range(2))
            crop = picture[:, top : top + side, left : left + side]
            parts.append(crop.flip(2) if random.random() < 0.5 else crop)
        return torch.stack(parts)

    def _draw(self) -> Tensor:
        return self.studio.draw(next(self.drafts)[1])
