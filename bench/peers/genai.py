"""openvino-genai over an exported folder (see bench/export.py). It loads all parts or none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import openvino_genai

from bench.peers import PROMPT, SEED, Job, export_folder


class Runner:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._pipe: Any = None

    def load_and_step(self) -> None:
        self._open()
        self._draw(1)

    def step(self) -> float:
        """Between the callbacks of two steps; the first of three starts late, after the text encoder."""
        times: list[float] = []
        self._draw(3, times)
        return min(times[1] - times[0], times[2] - times[1])

    def picture(self, steps: int) -> Any:
        from PIL import Image

        self._open()
        return Image.fromarray(self._draw(steps).data[0])

    def _open(self) -> None:
        job = self._job
        pipe = openvino_genai.Text2ImagePipeline(str(export_folder(Path(job.folder), job.precision)))
        pipe.reshape(1, job.side, job.side, 1.0)
        # Beside eight bits it takes what it thinks best: bfloat16 where the processor has it.
        hint = {} if job.precision == "int8" else {"INFERENCE_PRECISION_HINT": job.precision}
        pipe.compile("CPU", INFERENCE_NUM_THREADS=job.threads, **hint)
        self._pipe = pipe

    def _draw(self, steps: int, times: list[float] | None = None) -> Any:
        def on_step(step: int, count: int, latent: Any) -> bool:
            if times is not None:
                times.append(time.perf_counter())
            return False

        side = self._job.side
        return self._pipe.generate(
            PROMPT,
            width=side,
            height=side,
            num_inference_steps=steps,
            guidance_scale=1.0,
            rng_seed=SEED,
            callback=on_step,
        )
