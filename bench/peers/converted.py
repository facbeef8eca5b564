"""diffusers' networks converted by OpenVINO's own converter: the speed that Nutshell is held to."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, EulerDiscreteScheduler, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from bench.peers import PROMPT, SEED, Job
from bench.peers.diffusers import step_inputs


class OneOutput(torch.nn.Module):
    """A network that returns its first output as a bare tensor, as the converter wants it."""

    def __init__(self, network: Any, method: str = "forward") -> None:
        super().__init__()
        self.network = network
        self._call = getattr(network, method)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        first: torch.Tensor = self._call(*inputs, return_dict=False)[0]
        return first


class Text(torch.nn.Module):
    """The text encoder. Its mask is given: what transformers does without one cannot be traced."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.network(input_ids=input_ids).last_hidden_state
        return hidden


class Runner:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._core = openvino.Core()
        self._request: Any = None
        self._inputs: list[Any] = []
        torch.set_num_threads(job.threads)

    def load_and_step(self) -> None:
        model, examples = convert_unet(self._job.folder, self._job.side)
        self._inputs = [example.numpy() for example in examples]
        self._request = self._compiled(model).create_infer_request()
        self.step()

    def step(self) -> float:
        begun = time.perf_counter()
        self._request.infer(self._inputs, share_inputs=True)
        return time.perf_counter() - begun

    def picture(self, steps: int) -> Any:
        job = self._job
        tokenizer = CLIPTokenizer.from_pretrained(job.folder, subfolder="tokenizer")
        scheduler = EulerDiscreteScheduler.from_pretrained(job.folder, subfolder="scheduler")
        encode = self._compiled(convert_text(job.folder))
        predict = self._compiled(convert_unet(job.folder, job.side)[0])
        decoder, scaling = convert_decoder(job.folder, job.side)
        decode = self._compiled(decoder)
        length = min(77, tokenizer.model_max_length)
        ids = tokenizer(PROMPT, padding="max_length", max_length=length, truncation=True, return_tensors="np").input_ids
        condition = encode(ids.astype(np.int64))[0]
        scheduler.set_timesteps(steps)
        seeded = torch.Generator().manual_seed(SEED)
        latent = torch.randn(1, 4, job.side // 8, job.side // 8, generator=seeded) * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            given = scheduler.scale_model_input(latent, timestep).numpy()
            noise = predict([given, np.float32(timestep), condition])[0]
            latent = scheduler.step(torch.from_numpy(noise), timestep, latent).prev_sample
        pixels = decode([(latent / scaling).numpy()])[0][0]
        return Image.fromarray((pixels.transpose(1, 2, 0) * 127.5 + 127.5).clip(0, 255).round().astype(np.uint8))

    def _compiled(self, model: Any) -> Any:
        # Without a hint it takes bfloat16 where the processor has it.
        hint = {} if self._job.precision == "int8" else {"INFERENCE_PRECISION_HINT": self._job.precision}
        settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": self._job.threads}
        return self._core.compile_model(model, "CPU", {**hint, **settings})


def convert_unet(folder: str | Path, side: int, static: bool = True) -> tuple[Any, tuple[torch.Tensor, ...]]:
    """(the denoiser as OpenVINO has it, example inputs)."""
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32).eval()
    latent, timestep, condition = step_inputs(unet, side, torch.float32)
    if static:
        return _converted(OneOutput(unet), (latent, timestep, condition)), (latent, timestep, condition)
    # As optimum-intel exports it: any size and batch, the timestep a list of one integer.
    examples = (latent, timestep.to(torch.int64).reshape(1), condition)
    return _converted(OneOutput(unet), examples, ([-1, 4, -1, -1], [-1], [-1, -1, condition.shape[2]])), examples


def convert_text(folder: str | Path) -> Any:
    """The text encoder."""
    network = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", torch_dtype=torch.float32).eval()
    length = network.config.max_position_embeddings
    return _converted(Text(network), (torch.zeros(1, length, dtype=torch.int64),))


def convert_decoder(folder: str | Path, side: int, static: bool = True) -> tuple[Any, float]:
    """(the autoencoder's decoder, its scaling factor)."""
    config = (Path(folder) / "vae" / "config.json").read_text(encoding="utf-8")
    kind = AutoencoderTiny if "AutoencoderTiny" in config else AutoencoderKL
    vae = kind.from_pretrained(folder, subfolder="vae", torch_dtype=torch.float32).eval()
    latent = torch.zeros(1, vae.config.latent_channels, side // 8, side // 8)
    model = _converted(OneOutput(vae, "decode"), (latent,), None if static else ([-1, latent.shape[1], -1, -1],))
    return model, float(vae.config.scaling_factor)


@torch.no_grad()
def _converted(
    network: torch.nn.Module, examples: tuple[torch.Tensor, ...], shapes: tuple[list[int], ...] | None = None
) -> Any:
    """`shapes`: those of the examples where not given; -1 for any size."""
    sizes = shapes or tuple(list(example.shape) for example in examples)
    model = openvino.convert_model(
        network, example_input=examples, input=[openvino.PartialShape(size) for size in sizes]
    )
    gc.collect()
    return model
