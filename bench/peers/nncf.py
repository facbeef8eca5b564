"""The converted denoiser in eight bits by NNCF's post-training quantization: what static int8 is held to."""

from __future__ import annotations

from typing import Any

import nncf
import numpy as np

from bench.peers import SEED
from bench.peers.converted import Runner as Converted
from bench.peers.converted import convert_unet

# Runs that it watches. Speed does not depend on them, and its time to load is the shorter for there being few.
_SAMPLES = 8


class Runner(Converted):
    """Rows that are told apart by the precision "int8": what is not in eight bits computes as OpenVINO chooses."""

    def load_and_step(self) -> None:
        model, examples = convert_unet(self._job.folder, self._job.side)
        self._inputs = [example.numpy() for example in examples]
        self._request = self._compiled(quantize_unet(model, self._inputs)).create_infer_request()
        self.step()

    def picture(self, steps: int) -> Any:
        raise NotImplementedError("see plain_loop")


def quantize_unet(model: Any, inputs: list[Any]) -> Any:
    """`model` with quantize-dequantize pairs. inputs: an example of latent, timestep and condition."""
    random = np.random.default_rng(SEED)
    latent, timestep, condition = inputs
    samples = [
        [
            random.standard_normal(latent.shape, np.float32),
            np.full_like(timestep, place * 1000 // _SAMPLES),
            random.standard_normal(condition.shape, np.float32),
        ]
        for place in range(_SAMPLES)
    ]
    return nncf.quantize(model, nncf.Dataset(samples), subset_size=_SAMPLES)
