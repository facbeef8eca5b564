"""Drawn scenes kept on disk, so that a training on a CPU does not wait for the drawing.

    python -m training.scenes.pool [--scenes 12000] [--seed 1] [--processes 2] [--cache FOLDER]

A pool is a folder of shards `0000.npy`, ...: uint8 (512, 3, 256, 256), with the scenes they show in `0000.pickle`.
A shard that is there already is not drawn again, so a broken run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from training.cache import DEFAULT_CACHE
from training.scenes.names import load_world
from training.scenes.sampler import Sampler
from training.scenes.scene import Scene
from training.scenes.studio import Studio

SHARD = 512


def pool_folder(cache: Path, seed: int) -> Path:
    """Where the pool of one seed lies."""
    return cache / "pools" / str(seed)


def draw_shard(cache: Path, seed: int, number: int) -> Path:
    """Draw one shard unless it is there; returns its path."""
    path = pool_folder(cache, seed) / f"{number:04d}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        world = load_world(cache)
        sampler, studio, random = Sampler(world), Studio(world, cache), Random(f"{seed}/{number}")
        scenes = [sampler.scene(random) for _ in range(SHARD)]
        pictures = studio.pictures(scenes).transpose(0, 3, 1, 2)
        path.with_suffix(".pickle").write_bytes(pickle.dumps(scenes))
        part = path.with_name(f"{path.stem}.part.npy")
        np.save(part, np.ascontiguousarray(pictures))
        part.replace(path)
    return path


def draw_pool(cache: Path, seed: int, scenes: int, processes: int = 2) -> Path:
    """Draw what is missing of a pool of at least that many scenes; returns its folder."""
    wanted = range(-(-scenes // SHARD))
    missing = [n for n in wanted if not (pool_folder(cache, seed) / f"{n:04d}.npy").is_file()]
    if missing:
        with ProcessPoolExecutor(processes) as pool:
            for job in [pool.submit(draw_shard, cache, seed, n) for n in missing]:
                print(job.result(), flush=True)
    return pool_folder(cache, seed)


class Pool:
    """All shards of a folder, mapped; the system keeps in memory what is used.

    Its pickles hold our own dataclasses, written by `draw_shard`: open only pools that you drew.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(path for path in folder.glob("[0-9]*.npy") if ".part" not in path.name)
        if not self.paths:
            raise FileNotFoundError(f"no drawn scenes in {folder}; run `python -m training.scenes.pool` first")
        self.shards = [np.load(path, mmap_mode="r") for path in self.paths]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.shards)

    def scenes(self) -> list[Scene]:
        """What the pictures show, in their order."""
        return [scene for path in self.paths for scene in pickle.loads(path.with_suffix(".pickle").read_bytes())]

    def pictures(self, numbers: list[int]) -> Tensor:
        """uint8 (n, 3, 256, 256)."""
        return torch.from_numpy(np.stack([self.shards[n // SHARD][n % SHARD] for n in numbers]))

    def crops(self, count: int, side: int, random: Random) -> Tensor:
        """Crops at random places of random pictures, half of them mirrored: uint8 (count, 3, side, side)."""
        parts = []
        for _ in range(count):
            shard = random.choice(self.shards)
            picture = shard[random.randrange(len(shard))]
            top, left = (random.randint(0, picture.shape[-1] - side) for _ in range(2))
            crop = picture[:, top : top + side, left : left + side]
            parts.append(crop[:, :, ::-1] if random.random() < 0.5 else crop)
        return torch.from_numpy(np.stack(parts))


def main() -> None:
    """Draw a pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--scenes", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    print(draw_pool(options.cache, options.seed, options.scenes, options.processes))


if __name__ == "__main__":
    main()
