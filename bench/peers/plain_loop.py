"""The obvious program over NNCF's models: each read, compiled, run and let go, with Euler's method between."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_tokenizers  # noqa: F401 - its operations are in the tokenizer's model
from PIL import Image

from bench.peers import PROMPT, SEED, Job, export_folder
from bench.peers.euler import euler_levels

_END_TOKEN, _LENGTH = 49407, 77


class Runner:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._folder = export_folder(Path(job.folder), "int8")
        self._core = openvino.Core()

    def load_and_step(self) -> None:
        raise NotImplementedError("only whole pictures")

    def step(self) -> float:
        raise NotImplementedError("only whole pictures")

    def picture(self, steps: int) -> Any:
        side = self._job.side // 8
        ids = self._tokens()
        encode = self._compiled("text_encoder", {"input_ids": [1, _LENGTH]})
        condition = np.array(encode(ids)[0])
        del encode
        # What a careful program would do between two models.
        gc.collect()
        shapes = {"sample": [1, 4, side, side], "timestep": [1], "encoder_hidden_states": list(condition.shape)}
        predict = self._compiled("unet", shapes)
        timesteps, sigmas = euler_levels(steps)
        latent = np.random.default_rng(SEED).standard_normal((1, 4, side, side), np.float32)
        latent *= np.float32(np.sqrt(sigmas[0] ** 2 + 1))
        for timestep, sigma, after in zip(timesteps, sigmas[:-1], sigmas[1:], strict=True):
            given = (latent / np.sqrt(sigma**2 + 1)).astype(np.float32)
            noise = predict([given, np.array([timestep], np.int64), condition])[0]
            latent += np.float32(after - sigma) * noise
        del predict
        gc.collect()
        decode = self._compiled("vae_decoder", {"latent_sample": [1, 4, side, side]})
        # Of the tiny autoencoder, whose latents have the loop's own scale.
        pixels = decode(latent)[0][0]
        return Image.fromarray((pixels.transpose(1, 2, 0) * 127.5 + 127.5).clip(0, 255).round().astype(np.uint8))

    def _tokens(self) -> Any:
        tokenize = self._core.compile_model(str(self._folder / "tokenizer" / "openvino_tokenizer.xml"), "CPU")
        found = tokenize([PROMPT])[0][:, :_LENGTH]
        ids = np.full((1, _LENGTH), _END_TOKEN, np.int64)
        ids[:, : found.shape[1]] = found
        return ids

    def _compiled(self, part: str, shapes: dict[str, list[int]]) -> Any:
        model = self._core.read_model(str(self._folder / part / "openvino_model.xml"))
        model.reshape(shapes)
        settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": self._job.threads}
        return self._core.compile_model(model, "CPU", settings)
