"""Scenes drawn and labelled for both networks, if wanted in a process of their own beside the training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from queue import Empty
from random import Random
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from training.judge.augment import Distort
from training.judge.classes import Classes
from training.judge.crops import cut, shrink
from training.judge.finder import PICTURE_PIXELS
from training.judge.labels import MAX_ITEMS, UNKNOWN, Box, ItemLabels, Numbers, covered, overlap_share
from training.judge.ring import Rows
from training.judge.settings import SupplySettings
from training.scenes.saying import is_grey
from training.scenes.scene import Scene

CHUNK = 32
CHUNKS_AHEAD = 6
NOT_AN_OBJECT = 0.15
"""A box that shares at most this with every object's box shows nothing."""


class Sampler(Protocol):
    """Draws scenes by lot."""

    def scene(self, random: Random) -> Scene:
        """One scene."""


class Studio(Protocol):
    """Draws scenes as pictures."""

    def pictures(self, scenes: list[Scene]) -> NDArray[np.uint8]:
        """uint8 (n, side, side, 3)."""

    def boxes(self, scene: Scene) -> list[Box]:
        """Each item's own box, without what it wears or holds."""


class Source:
    """Pictures with labels, the same ones for the same seed."""

    def __init__(
        self,
        sampler: Sampler,
        studio: Studio,
        classes: Classes,
        settings: SupplySettings,
        seed: str,
        distort: Distort | None = None,
    ) -> None:
        self.sampler, self.studio, self.settings, self.distort = sampler, studio, settings, distort
        self.numbers = Numbers(classes)
        self.random = Random(seed)

    def draw(self, count: int) -> tuple[Rows, Rows]:
        """Rows for the finder's ring, one a picture, and for the namer's, one an item and some without an item."""
        scenes = [self._scene() for _ in range(count)]
        pictures = to_tensor(self.studio.pictures(scenes))
        noisy = [self.random.random() < self.settings.noise for _ in scenes]
        for index, is_noise in enumerate(noisy):
            if is_noise:
                scenes[index] = replace(scenes[index], items=())
                pictures[index] = noise_picture(self.random, pictures.shape[-1])
        boxes = [self.studio.boxes(scene) if scene.items else [] for scene in scenes]
        if self.distort:
            chosen = [index for index in range(count) if self.random.random() < self.settings.autoencoded]
            if chosen:
                pictures[chosen] = self.distort(pictures[chosen])
        return self._finder_rows(scenes, boxes, noisy, pictures), self._namer_rows(scenes, boxes, pictures)

    def _scene(self) -> Scene:
        scene = self.sampler.scene(self.random)
        empty = self.random.random() < self.settings.empty
        return replace(scene, items=(), relation="") if empty else scene

    def _finder_rows(self, scenes: list[Scene], boxes: list[list[Box]], noisy: list[bool], pictures: Tensor) -> Rows:
        places = torch.zeros(len(scenes), MAX_ITEMS, 5)
        backgrounds, colours, styles, groups = [], [], [], []
        for index, scene in enumerate(scenes):
            for number, (item, box) in enumerate(zip(scene.items, boxes[index], strict=True)):
                places[index, number] = torch.tensor([*box, item.side])
            background, background_colours, style = self.numbers.ground(scene)
            backgrounds.append(UNKNOWN if noisy[index] else background)
            colours.append(np.full_like(background_colours, UNKNOWN) if noisy[index] else background_colours)
            styles.append(UNKNOWN if noisy[index] or not scene.items else style)
            groups.append(self.numbers.groups(scene))
        return {
            "picture": shrink(pictures, pictures.shape[-1] // PICTURE_PIXELS),
            "boxes": places,
            "background": torch.tensor(backgrounds),
            "colours": torch.from_numpy(np.stack(colours)),
            "style": torch.tensor(styles),
            "groups": torch.from_numpy(np.stack(groups)),
        }

    def _namer_rows(self, scenes: list[Scene], boxes: list[list[Box]], pictures: Tensor) -> Rows:
        which, places, labels = [], [], []
        for index, (scene, own) in enumerate(zip(scenes, boxes, strict=True)):
            hidden = covered(own)
            for item, box, behind in zip(scene.items, own, hidden, strict=True):
                which.append(index)
                places.append(box)
                labels.append(self.numbers.item(item, behind, is_grey(scene)))
            stray = self._stray_box(own)
            if stray and (self.random.random() < self.settings.nothing or not scene.items):
                which.append(index)
                places.append(stray)
                labels.append(self.numbers.nothing())
        return {"cut": cut(pictures, torch.tensor(which), torch.tensor(places)), **_label_rows(labels)}

    def _stray_box(self, boxes: list[Box]) -> Box | None:
        side = self.random.uniform(0.15, 0.8)
        width, height = side * self.random.uniform(0.5, 1), side * self.random.uniform(0.5, 1)
        left, top = self.random.uniform(0, 1 - width), self.random.uniform(0, 1 - height)
        box = (left, top, left + width, top + height)
        return box if all(overlap_share(box, other) <= NOT_AN_OBJECT for other in boxes) else None


class Beside:
    """Sources that draw in other processes, one each, a few chunks ahead; all of `makes` must be picklable."""

    def __init__(self, makes: list[Callable[[], Source]]) -> None:
        context = get_context("spawn")
        self._queue = context.Queue(CHUNKS_AHEAD * len(makes))
        self._processes = [
            context.Process(target=_draw_for_ever, args=(make, self._queue), daemon=True) for make in makes
        ]
        for process in self._processes:
            process.start()

    def draw(self, _count: int = CHUNK) -> tuple[Rows, Rows]:
        """The next chunk. Raises `RuntimeError` if a process has ended."""
        while True:
            try:
                chunk: Any = self._queue.get(timeout=10)
            except Empty as error:
                if not all(process.is_alive() for process in self._processes):
                    raise RuntimeError("a process that draws has ended; its message is above") from error
                continue
            pictures, cuts = ({name: torch.from_numpy(part) for name, part in rows.items()} for rows in chunk)
            return pictures, cuts

    def close(self) -> None:
        """End the other processes."""
        for process in self._processes:
            process.terminate()
            process.join()


def _draw_for_ever(make: Callable[[], Source], queue: Any) -> None:
    torch.set_num_threads(1)
    source = make()
    while True:
        queue.put(tuple({name: part.numpy() for name, part in rows.items()} for rows in source.draw(CHUNK)))


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """(n, side, side, 3) to (n, 3, side, side)."""
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def noise_picture(random: Random, side: int) -> Tensor:
    """Noise as coarse and as strong as it happens to come, grey or coloured: uint8 (3, side, side)."""
    cells = random.choice((2, 4, 8, 16, 32, 64, 128, side))
    generator = torch.Generator().manual_seed(random.getrandbits(32))
    channels = random.choice((1, 3, 3))
    values = torch.randn(1, channels, cells, cells, generator=generator) * random.uniform(10, 100)
    mode = random.choice(("nearest", "bilinear"))
    if cells < side:
        values = interpolate(values, (side, side), mode=mode)
    colour = torch.rand(3, 1, 1, generator=generator) * 255
    return (values[0] + colour).round().clamp(0, 255).byte()


def _label_rows(labels: list[ItemLabels]) -> Rows:
    return {
        "thing": torch.tensor([one.thing for one in labels]),
        "colour": torch.tensor([one.colour for one in labels]),
        "wearing": torch.from_numpy(np.stack([one.wearing for one in labels])),
        "holding": torch.tensor([one.holding for one in labels]),
        "covered": torch.tensor([one.covered for one in labels]),
    }
