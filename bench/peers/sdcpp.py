"""stable-diffusion.cpp by its Python package, weights in q8_0, with the tiny decoder (its "taesd").

It is compiled when it is installed: `python -m bench.packages stable-diffusion-cpp-python`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_diffusion_cpp import StableDiffusion

from bench.peers import PROMPT, SEED, Job, full_sibling


class Runner:
    def __init__(self, job: Job) -> None:
        self._job = job

    def load_and_step(self) -> None:
        raise NotImplementedError("only whole pictures")

    def step(self) -> float:
        raise NotImplementedError("only whole pictures")

    def picture(self, steps: int) -> Any:
        job, folder = self._job, Path(self._job.folder)
        pipe = StableDiffusion(
            # A folder's autoencoder it takes for the full one.
            model_path=str(full_sibling(folder)),
            taesd_path=str(folder / "vae" / "diffusion_pytorch_model.safetensors"),
            wtype=job.precision,
            n_threads=job.threads,
            vae_decode_only=True,
            verbose=False,
        )
        return pipe.generate_image(
            PROMPT,
            width=job.side,
            height=job.side,
            cfg_scale=1.0,
            sample_method="euler",
            sample_steps=steps,
            seed=SEED,
        )[0]
