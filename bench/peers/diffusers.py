"""diffusers on PyTorch, as its own pipeline runs it."""

from __future__ import annotations

import time
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from bench.peers import PROMPT, SEED, Job

_TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Runner:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._type = _TYPES[job.precision]
        self._unet: Any = None
        self._inputs: tuple[torch.Tensor, ...] = ()
        torch.set_num_threads(job.threads)

    def load_and_step(self) -> None:
        job = self._job
        self._unet = UNet2DConditionModel.from_pretrained(job.folder, subfolder="unet", torch_dtype=self._type).eval()
        self._inputs = step_inputs(self._unet, job.side, self._type)
        self.step()

    @torch.no_grad()
    def step(self) -> float:
        begun = time.perf_counter()
        self._unet(*self._inputs, return_dict=False)
        return time.perf_counter() - begun

    def picture(self, steps: int) -> Any:
        job = self._job
        pipe = StableDiffusionPipeline.from_pretrained(job.folder, torch_dtype=self._type)
        pipe.set_progress_bar_config(disable=True)
        seeded = torch.Generator().manual_seed(SEED)
        return pipe(
            PROMPT, height=job.side, width=job.side, num_inference_steps=steps, guidance_scale=1.0, generator=seeded
        ).images[0]


def step_inputs(unet: Any, side: int, kind: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Latent, timestep and condition for one step of batch 1."""
    random = torch.Generator().manual_seed(SEED)
    latent = torch.randn(1, unet.config.in_channels, side // 8, side // 8, generator=random)
    condition = torch.randn(1, 77, unet.config.cross_attention_dim, generator=random)
    return latent.to(kind), torch.tensor(500.0), condition.to(kind)
