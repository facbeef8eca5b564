"""Small models on disk for the tests of `nutshell compress`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines import open_engine
from nutshell.networks.unet import denoiser, timestep_features
from nutshell.pipeline.facts import read_unet
from nutshell.weights import open_checkpoint
from tests.pipeline.conftest import WIDTH, build_pipeline

# As Stable Diffusion 1.x, but narrow: four levels, two layers, attention on the upper three, the last two as wide.
SD1: dict[str, Any] = {
    "block_out_channels": (32, 64, 96, 96),
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
}
LENGTH, TIMESTEP = 5, 400.0


def small_sd1(folder: Path) -> Any:
    """A random pipeline of that shape, its norms and biases too; saved to `folder`."""
    import torch

    pipe = build_pipeline(folder, **SD1)
    with torch.no_grad():
        for parameter in pipe.unet.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    pipe.unet.save_pretrained(folder / "unet")
    return pipe


def given(side: int = 8) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A latent and a condition."""
    random = np.random.default_rng(0)
    latent = random.standard_normal((1, 4, side, side)).astype(np.float32)
    return latent, random.standard_normal((1, LENGTH, WIDTH)).astype(np.float32)


def ours(folder: Path, engine: str = "numpy") -> npt.NDArray[np.float32]:
    """What the denoiser in `folder` predicts by our network."""
    latent, condition = given()
    with open_checkpoint(folder).open("unet") as part:
        config = read_unet(part)
        network = denoiser(config, *latent.shape[2:], LENGTH)
        session = open_engine(engine).compile(network, part.weights, "f32")
        return session(latent=latent, timestep=timestep_features(config, TIMESTEP), condition=condition)


def theirs(unet: Any) -> npt.NDArray[np.float32]:
    """What a denoiser of diffusers predicts."""
    import torch

    latent, condition = (torch.from_numpy(array) for array in given())
    with torch.no_grad():
        return unet.eval()(latent, torch.tensor(TIMESTEP), condition).sample.numpy()


def largest_error(one: Any, other: Any) -> float:
    """The largest difference, as a share of the spread."""
    return float(np.abs(one - other).max() / np.std(other))
