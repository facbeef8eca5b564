"""Encode a pool of drawn scenes once, for the denoiser's training.

    python -m training.autoencoder.latents [--seed 1] [--cache FOLDER] [--autoencoder FOLDER]

Writes float16 (512, 4, 32, 32) a shard beside the scenes of the pool, already multiplied by the config's
`scaling_factor`, into a folder named after the weights: other weights, other folder. A shard that is there is
kept, so a broken run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny

from training.autoencoder.network import encode
from training.cache import DEFAULT_CACHE
from training.scenes.pool import Pool, pool_folder

WEIGHTS = Path(__file__).parent / "vae"


def latents_folder(pool: Path, autoencoder: Path) -> Path:
    """Where the latents of a pool lie for these weights."""
    digest = hashlib.sha256((autoencoder / "diffusion_pytorch_model.safetensors").read_bytes()).hexdigest()
    return pool / f"latents-{digest[:8]}"


def encode_pool(pool: Path, autoencoder: Path, device: str) -> Path:
    """Encode every shard that is not encoded yet; returns the folder."""
    folder = latents_folder(pool, autoencoder)
    folder.mkdir(parents=True, exist_ok=True)
    model = AutoencoderTiny.from_pretrained(autoencoder).to(device, memory_format=torch.channels_last)
    scenes = Pool(pool)
    for path, shard in zip(scenes.paths, scenes.shards, strict=True):
        target = folder / path.name
        if target.is_file():
            continue
        with torch.autocast(device, dtype=torch.bfloat16):
            latents = encode(model, torch.from_numpy(np.array(shard)), batch=64 if device == "cuda" else 8)
        part = folder / f"{path.stem}.part.npy"
        np.save(part, (latents.float() * model.config.scaling_factor).half().numpy())
        part.replace(target)
        print(target.name, flush=True)
    return folder


def load_latents(folder: Path) -> torch.Tensor:
    """All of them: float16 (n, 4, 32, 32), in the order of `Pool.scenes`."""
    parts = sorted(path for path in folder.glob("[0-9]*.npy") if ".part" not in path.name)
    if not parts:
        raise FileNotFoundError(f"no latents in {folder}; run `python -m training.autoencoder.latents` first")
    return torch.from_numpy(np.concatenate([np.load(path) for path in parts]))


def main() -> None:
    """Encode a pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--seed", type=int, default=1, help="which pool of scenes")
    parser.add_argument("--autoencoder", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(encode_pool(pool_folder(options.cache, options.seed), options.autoencoder, device))


if __name__ == "__main__":
    main()
