"""All scenes as tensors, drawn once per run and kept in memory (872 pictures are 171 MB)."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from training.artist.captions import add_names
from training.artist.scenes import Scene, World, compose, every_scene, is_held_out, load_world
from training.artist.settings import SceneSettings
from training.scenes.art import cldr_names, open_sprite


def world_with_names(cache_folder: Path) -> World:
    """The table of objects with CLDR's names."""
    return add_names(load_world(), cldr_names(cache_folder, "en"), cldr_names(cache_folder, "zh"))


def split_scenes(world: World, settings: SceneSettings) -> tuple[list[Scene], list[Scene]]:
    """(trained, held out), each in a fixed order."""
    scenes = every_scene(world, settings)
    return [s for s in scenes if not is_held_out(s, settings)], [s for s in scenes if is_held_out(s, settings)]


def draw(scenes: list[Scene], world: World, settings: SceneSettings, cache_folder: Path) -> torch.Tensor:
    """Pictures of the scenes: uint8 (scenes, 3, size, size)."""
    sprite = cache(partial(open_sprite, cache_folder))
    arrays = [np.asarray(compose(scene, world, settings, sprite)) for scene in scenes]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
