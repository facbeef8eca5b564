"""Nutshell itself, from the checkpoint to the picture through its front door."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import nutshell
from bench.peers import PROMPT, SCHEDULER, SEED, Job
from nutshell.engines import Session, open_engine
from nutshell.machine import probe
from nutshell.networks.unet import denoiser
from nutshell.pipeline.cards import find_card
from nutshell.pipeline.eight_bits import EightBits, eight_bits
from nutshell.pipeline.facts import read_unet
from nutshell.plan import Plan, processor_precisions
from nutshell.quantization import HALVES
from nutshell.weights import Part, open_checkpoint


class Runner:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._part: Part | None = None
        self._session: Session | None = None
        self._inputs: dict[str, Any] = {}

    def load_and_step(self) -> None:
        job = self._job
        self._part = open_checkpoint(Path(job.folder)).open("unet")
        config = read_unet(self._part)
        network = denoiser(config, job.side // 8, job.side // 8, 77)
        random = np.random.default_rng(SEED)
        self._inputs = {
            name: random.standard_normal(given.shape).astype(np.float32) for name, given in network.inputs.items()
        }
        engine = open_engine(job.engine)
        small = self._eight_bits()
        plan = Plan(job.engine, job.precision, job.threads, staged=True, need_bytes=0, reasons=())
        network = small.applied(network, plan, self._part, engine.precisions)
        kind = small.arithmetic(job.precision, engine.precisions)
        self._session = engine.compile(network, self._part.weights, kind, job.threads)
        # As nutshell.pipeline.stages does after it has compiled.
        self._part.release()
        self._session(**self._inputs)

    def _eight_bits(self) -> EightBits:
        """By the card that lies in the folder of a worker's settings, every layer that it knows."""
        if self._job.precision != "int8":
            return EightBits()
        path = Path(self._job.folder)
        here = find_card(path, open_checkpoint(path))
        if here.card is None:
            why = here.problem.message if here.problem else "none was made"
            raise RuntimeError(f"there is no calibration card for this model: {why}")
        machine = probe(gpus=False)
        halves = [name for name in processor_precisions(machine) if name in HALVES]
        return eight_bits(here.card, 1.0, machine.cpu, None, halves)

    def step(self) -> float:
        assert self._session is not None, "load first"
        begun = time.perf_counter()
        self._session(**self._inputs)
        return time.perf_counter() - begun

    def picture(self, steps: int) -> Any:
        job = self._job
        with nutshell.load(job.folder, engine=job.engine, precision=job.precision, threads=job.threads) as model:
            return model.generate(
                PROMPT, width=job.side, height=job.side, steps=steps, guidance=1.0, seed=SEED, sampler=SCHEDULER
            ).image
