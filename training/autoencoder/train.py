"""Train the autoencoder (pictures <-> latents, 8 times smaller, 4 channels) and save it as diffusers does.

    python -m training.autoencoder.train [--minutes N] [--resume] [--cache FOLDER] [--output FOLDER]

Stage one learns with the first three latent channels held, ever more loosely, to the mean colour of their
8x8 pixels: it shortens the start by far. Then the latents are brought to mean 0 and deviation 1, and stage
two goes on with a falling rate. A little noise on the latents keeps the decoder calm about a denoiser's
small errors.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderTiny
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, l1_loss

from training.autoencoder.metrics import psnr_db, ssim, structure_loss
from training.autoencoder.network import build, encode, normalize, round_trip, to_unit
from training.autoencoder.settings import LossSettings, TrainingSettings, load_autoencoder_settings
from training.cache import DEFAULT_CACHE
from training.loop import Pace, train
from training.scenes.live import Live
from training.scenes.names import load_world
from training.scenes.pool import Pool, draw_pool

HELD_OUT_SEED = 2
CHECKED = 256
WATCHED = 16
"""Unseen pictures that are measured and laid out at every checkpoint."""


def loss_of(model: nn.Module, batch: tuple[Tensor, ...], settings: LossSettings) -> Tensor:
    """The loss of one batch: pictures (n, 3, side, side) in -1..1, and the anchor's weight (n,)."""
    x, anchor = batch
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        latents = model.encode(x).latents
        spread = latents.detach().float().std(dim=(0, 2, 3), keepdim=True)
        noisy = latents + settings.noise * spread * torch.randn_like(latents, dtype=torch.float32)
        y = model.decode(noisy).sample
    held = l1_loss(latents[:, :3].float(), avg_pool2d(x, 8))
    return difference(y.float(), x, settings) + anchor.mean() * held


def difference(y: Tensor, x: Tensor, settings: LossSettings) -> Tensor:
    """How far pictures (n, 3, h, w) in -1..1 are from those they should be."""
    edges = l1_loss(y.diff(dim=2), x.diff(dim=2)) + l1_loss(y.diff(dim=3), x.diff(dim=3))
    return l1_loss(y, x) + settings.edges * edges + settings.structure * structure_loss(y, x)


def statistics(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of (n, 4, h, w)."""
    return latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))


def some(pool: Pool | Live) -> Tensor:
    """The first pictures of a pool, at most `CHECKED`: uint8 (n, 3, side, side)."""
    return pool.pictures(list(range(min(CHECKED, len(pool)))))


def report(model: AutoencoderTiny, pictures: Tensor) -> dict[str, float]:
    """Quality of the round trip of uint8 (n, 3, side, side): means over pictures."""
    back = round_trip(model, pictures)
    return {"psnr_db": float(psnr_db(back, pictures).mean()), "ssim": float(ssim(back, pictures).mean())}


def watch(model: nn.Module, pictures: Tensor, stage: int, work: Path) -> None:
    """A row in `progress.csv` and a sheet, each picture above what became of it."""
    assert isinstance(model, AutoencoderTiny)
    row = {"time": f"{time.time():.0f}", "stage": str(stage)}
    row |= {name: f"{value:.4f}" for name, value in report(model, pictures).items()}
    table = work / "progress.csv"
    new = not table.is_file()
    with table.open("a", encoding="utf-8") as file:
        file.write((",".join(row) + "\n" if new else "") + ",".join(row.values()) + "\n")
    pairs = torch.cat([pictures, round_trip(model, pictures)], dim=2).permute(0, 2, 3, 1).numpy()
    height, width = pairs.shape[1:3]
    sheet = Image.new("RGB", (width * len(pairs), height))
    for place, pair in enumerate(pairs):
        sheet.paste(Image.fromarray(pair), (width * place, 0))
    sheet.save(work / "sheet.png")


def save(model: AutoencoderTiny, folder: Path, pictures: Tensor) -> None:
    """Write fp16 weights, and the measured scale of the latents in the config.

    What is left of their mean is folded away first: Stable Diffusion's pipelines know no shift.
    """
    normalize(model, statistics(encode(model, pictures))[0], torch.ones(4))
    latents = encode(model, pictures)
    model.register_to_config(scaling_factor=round(float(1 / latents.std()), 4), shift_factor=0.0)
    model.half().save_pretrained(folder, safe_serialization=True)
    model.float()


def learn(model: AutoencoderTiny, pool: Pool | Live, unseen: Tensor, settings: TrainingSettings, loss: LossSettings,
          work: Path, minutes: float, resume: bool) -> AutoencoderTiny:  # fmt: skip
    """Both stages; the checkpoints of each lie in `work`. Returns the averaged network."""
    random = Random(0)
    batch = settings.cuda_batch if model.device.type == "cuda" else settings.batch

    def stage(model: AutoencoderTiny, number: int, pace: Pace, anchor: float) -> AutoencoderTiny:
        def draw(share: float) -> tuple[Tensor, ...]:
            weight = torch.full((batch,), anchor * (1 - share))
            return to_unit(pool.crops(batch, settings.crop_pixels, random)), weight

        checkpoint = work / f"stage{number}"
        average, steps = train(
            model, lambda m, b: loss_of(m, b, loss), draw, pace, checkpoint, resume,
            on_save=lambda average: watch(average, unseen, number, work),
        )  # fmt: skip
        print(f"stage {number}: {steps} steps", flush=True)
        return average

    first = minutes * settings.normalize_at
    rate = settings.learning_rate
    held = (settings.decay_from * minutes - first) / (minutes - first)
    model = stage(model, 1, Pace(first, rate, settings.warmup, 1.0, settings.ema), loss.anchor)
    normalize(model, *statistics(encode(model, some(pool))))
    model.requires_grad_(True)
    return stage(model, 2, Pace(minutes - first, rate, settings.warmup, max(0.0, held), settings.ema), 0.0)


def source(cache: Path, device: str, seed: int, scenes: int) -> Pool | Live:
    """Pictures to learn from: drawn on the way where that is quick, else from the disk, once."""
    if device == "cuda":
        return Live(load_world(cache), cache, device, seed)
    return Pool(draw_pool(cache, seed, scenes))


def main() -> None:
    """Train for the budget, save, measure."""
    settings = load_autoencoder_settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--minutes", type=float, default=settings.training.minutes)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "vae")
    parser.add_argument("--seed", type=int, default=1, help="which pool of scenes")
    options = parser.parse_args()
    work = options.cache / "autoencoder"
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    unseen = Pool(draw_pool(options.cache, HELD_OUT_SEED, CHECKED))
    pool = source(options.cache, device, options.seed, settings.training.scenes)
    model = build(settings.network).to(device)
    shown = some(unseen)
    model = learn(model, pool, shown[:WATCHED], settings.training, settings.loss, work, options.minutes, options.resume)
    save(model, options.output, some(pool))
    print(report(model, shown))


if __name__ == "__main__":
    main()
