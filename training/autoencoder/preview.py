"""The rows `preview` of a model card: the linear map from a cell of a latent to the mean colour of its pixels.

    python -m training.autoencoder.preview [--scenes 256] [--cache FOLDER] [--autoencoder FOLDER]

A least-squares fit over drawn scenes, printed as TOML with the error that it leaves on other scenes. It belongs to one
autoencoder: other weights, other rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from torch import Tensor

from training.autoencoder.network import WEIGHTS, encode
from training.cache import DEFAULT_CACHE
from training.scenes.names import load_world
from training.scenes.sampler import Sampler
from training.scenes.studio import Studio

Floats = NDArray[np.float64]


def cells(model: AutoencoderTiny, pictures: Tensor) -> tuple[Floats, Floats]:
    """Of uint8 (n, 3, side, side): each cell's latent as the denoiser sees it, (cells, channels), and its mean
    colour, 0..1, (cells, 3)."""
    latents = encode(model, pictures) * model.config.scaling_factor
    colours = torch.nn.functional.interpolate(pictures.float() / 255, latents.shape[-2:], mode="area")
    first, second = (part.permute(0, 2, 3, 1).flatten(0, 2).double().numpy() for part in (latents, colours))
    return first, second


def fit(latents: Floats, colours: Floats) -> Floats:
    """The rows: one of (red, green, blue) for each channel, then the offset."""
    rows: Floats = np.linalg.lstsq(_with_ones(latents), colours, rcond=None)[0]
    return rows


def error(rows: Floats, latents: Floats, colours: Floats) -> float:
    """Root mean square of what the rows miss, as a share of full scale, 0..1."""
    return float(np.sqrt(np.mean((np.clip(_with_ones(latents) @ rows, 0, 1) - colours) ** 2)))


def as_toml(rows: Floats, missed: float) -> str:
    """The rows as they stand in a card."""
    lines = [f"    [{', '.join(f'{value:.4f}' for value in row)}]," for row in rows]
    head = f"# Least squares over scenes (training/autoencoder/preview.py); the error is {missed:.1%} of full scale."
    return "\n".join([head, "preview = [", *lines, "]"])


def _with_ones(latents: Floats) -> Floats:
    return np.hstack([latents, np.ones((len(latents), 1))])


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--autoencoder", type=Path, default=WEIGHTS)
    parser.add_argument("--scenes", type=int, default=256, help="to fit to; a quarter as many measure the error")
    options = parser.parse_args()
    model = AutoencoderTiny.from_pretrained(options.autoencoder).to(memory_format=torch.channels_last)
    world = load_world(options.cache)
    sampler, studio, random = Sampler(world), Studio(world, options.cache), Random("preview")

    def drawn(count: int) -> tuple[Floats, Floats]:
        pictures = studio.pictures([sampler.scene(random) for _ in range(count)])
        return cells(model, torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()))

    rows = fit(*drawn(options.scenes))
    print(as_toml(rows, error(rows, *drawn(max(1, options.scenes // 4)))))


if __name__ == "__main__":
    main()
