"""Runs of the guided artist from noise to picture, kept on disk for the distillation of few steps.

A shard holds captions' token ids and the latents at the ends of each of the few steps to come. A shard that is there
is kept, so a broken run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nutshell.compress.teaching.ddim import guided, trajectory
from training.artist.batches import Batches
from training.artist.networks import build_scheduler, tokenize
from training.artist.package import Artist
from training.artist.settings import TurboTraining
from training.parallel import replica_count

SHARD = 64


class Runner:
    """Runs an artist under inference mode; `steps` of its own for each of the few."""

    def __init__(self, artist: Artist, batches: Batches, settings: TurboTraining, device: torch.device) -> None:
        self.unet, self.text_encoder = artist.unet.to(device).eval(), artist.text_encoder.to(device).eval()
        self.batches, self.settings, self.device = batches, settings, device
        self.alphas = build_scheduler().alphas_cumprod.to(device)

    @torch.inference_mode()
    def run(self, ids: Tensor, noise: Tensor) -> Tensor:
        """Token ids (n, length) and noise (n, 4, h, w) to latents (n, 1 + few, 4, h, w)."""
        settings = self.settings
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            empty = tokenize(self.batches.tokenizer, [""]).to(self.device)
            condition = self.text_encoder(torch.cat([empty, ids])).last_hidden_state
            predict = guided(
                lambda latents, steps, text: self.unet(latents, steps, text).sample,
                condition[1:], condition[:1], settings.guidance,
            )  # fmt: skip
            stride = settings.source_steps // settings.steps
            return trajectory(predict, noise, self.alphas, settings.source_steps, stride)


def trajectories_folder(work: Path, source: Path, settings: TurboTraining) -> Path:
    """Where the runs of these weights with these settings lie."""
    weights = (source / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    decides = repr((settings.source_steps, settings.steps, settings.guidance)).encode() + weights
    return work / f"trajectories-{hashlib.sha256(decides).hexdigest()[:8]}"


def draw_trajectories(runner: Runner, folder: Path, count: int) -> Path:
    """Draw what is missing of at least that many; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(-(-count // SHARD)) if not (folder / f"{n:05d}.npz").is_file()]
    workers = replica_count(runner.device)

    def start() -> None:
        if workers > 1:
            torch.set_num_threads(1)

    with ThreadPoolExecutor(workers, initializer=start) as pool:
        for number, _ in enumerate(pool.map(lambda n: _draw_shard(runner, folder, n), missing)):
            if number % 16 == 0:
                print(f"runs: {(number + 1) * SHARD} of {len(missing) * SHARD}", flush=True)
    return folder


def load_trajectories(folder: Path) -> tuple[Tensor, Tensor]:
    """Token ids (n, length) and latents, float16 (n, 1 + few, 4, h, w)."""
    shards = [np.load(path) for path in sorted(folder.glob("[0-9]*.npz")) if ".part" not in path.name]
    if not shards:
        raise FileNotFoundError(f"no runs in {folder}")
    ids, states = (torch.from_numpy(np.concatenate([shard[name] for shard in shards])) for name in ("ids", "states"))
    return ids, states


def _draw_shard(runner: Runner, folder: Path, number: int) -> None:
    ids = runner.batches.draw(SHARD, runner.settings.empty_caption).ids.to(runner.device)
    generator = torch.Generator().manual_seed(number)
    noise = torch.randn(SHARD, *runner.batches.latents.shape[1:], generator=generator).to(runner.device)
    states = runner.run(ids, noise)
    part = folder / f"{number:05d}.part.npz"
    np.savez(part, ids=ids.cpu().numpy(), states=states.half().cpu().numpy())
    part.replace(folder / f"{number:05d}.npz")
