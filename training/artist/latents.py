"""The recipe's scenes, drawn and encoded once, so that a training reads latents and nothing else.

A folder of shards: `0000.npy`, float16 (512, 4, 32, 32), already multiplied by the autoencoder's `scaling_factor`,
and the scenes they show in `0000.pickle`. The folder's name holds a digest of all that decides about them. A shard
that is there is kept, so a broken run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from training.artist.settings import Recipe
from training.artist.subjects import recipe_sampler
from training.autoencoder.network import WEIGHTS, encode
from training.scenes.batch import BatchStudio
from training.scenes.drafts import Drafts, Draftsman
from training.scenes.scene import Scene
from training.scenes.studio import Studio

SHARD = 512


def latents_folder(recipe: Recipe, cache: Path, seed: str, autoencoder: Path = WEIGHTS) -> Path:
    """Where the latents of these scenes under these weights lie."""
    weights = (autoencoder / "diffusion_pytorch_model.safetensors").read_bytes()
    decides = repr((recipe.world, recipe.scenes, seed)).encode() + weights
    return cache / "artist" / recipe.name / f"latents-{seed}-{hashlib.sha256(decides).hexdigest()[:8]}"


def draw_latents(recipe: Recipe, cache: Path, seed: str, scenes: int, device: str, autoencoder: Path = WEIGHTS) -> Path:
    """Draw and encode what is missing of at least that many scenes; returns the folder."""
    folder = latents_folder(recipe, cache, seed, autoencoder)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(-(-scenes // SHARD)) if not (folder / f"{n:04d}.npy").is_file()]
    if missing and device == "cpu":
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(_draw_shard, recipe, cache, folder, seed, n, autoencoder) for n in missing]
            for number, job in enumerate(jobs):
                job.result()
                print(f"latents {seed}: {number + 1} of {len(jobs)}", flush=True)
    elif missing:
        _draw_on_device(recipe, cache, folder, seed, missing, device, autoencoder)
    return folder


def load_latents(folder: Path) -> tuple[Tensor, list[Scene]]:
    """All latents, float16 (n, 4, 32, 32), and what they show.

    The pickles hold our own dataclasses, written by `draw_latents`: open only what you drew.
    """
    paths = sorted(path for path in folder.glob("[0-9]*.npy") if ".part" not in path.name)
    if not paths:
        raise FileNotFoundError(f"no latents in {folder}")
    scenes = [scene for path in paths for scene in pickle.loads(path.with_suffix(".pickle").read_bytes())]
    return torch.from_numpy(np.concatenate([np.load(path) for path in paths])), scenes


def _draw_shard(recipe: Recipe, cache: Path, folder: Path, seed: str, number: int, autoencoder: Path) -> None:
    torch.set_num_threads(1)
    sampler = recipe_sampler(recipe, cache)
    scenes, _ = Draftsman(sampler).batch(f"{seed}/{number}", SHARD)
    pictures = torch.from_numpy(Studio(sampler.world, cache).pictures(scenes).transpose(0, 3, 1, 2).copy())
    _write(folder, number, scenes, _encoded(_open(autoencoder, "cpu"), pictures, 8))


def _draw_on_device(
    recipe: Recipe, cache: Path, folder: Path, seed: str, missing: list[int], device: str, autoencoder: Path
) -> None:
    sampler, model = recipe_sampler(recipe, cache), _open(autoencoder, device)
    studio = BatchStudio(sampler.world, cache, device)
    with Drafts(sampler, seed, SHARD, max(1, (os.cpu_count() or 2) - 1), missing) as drafts:
        for number, (scenes, blueprint) in zip(missing, drafts, strict=False):
            _write(folder, number, scenes, _encoded(model, studio.draw(blueprint), 128))


def _open(autoencoder: Path, device: str) -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(autoencoder).to(device, memory_format=torch.channels_last)


def _encoded(model: AutoencoderTiny, pictures: Tensor, batch: int) -> Tensor:
    with torch.autocast(pictures.device.type, dtype=torch.bfloat16):
        return encode(model, pictures, batch).float() * model.config.scaling_factor


def _write(folder: Path, number: int, scenes: list[Scene], latents: Tensor) -> None:
    path = folder / f"{number:04d}.npy"
    path.with_suffix(".pickle").write_bytes(pickle.dumps(scenes))
    part = path.with_name(f"{path.stem}.part.npy")
    np.save(part, latents.half().numpy())
    part.replace(path)
