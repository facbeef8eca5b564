"""Make a trained autoencoder's latents easy for a denoiser: little in them that looks like noise.

    python -m training.autoencoder.smooth [--minutes N] [--resume] [--cache FOLDER] [--start FOLDER] [--output FOLDER]

Trained for the picture alone, the channel that is left beside the three colours fills with detail as fine as the
latents' own grid: four fifths of its power in the shortest waves. A small denoiser cannot predict that, draws it as
noise, and the decoder makes blotches of it. So training goes on with more terms (`Smoothing`): much noise on the
latents, which limits what they can say and has the decoder clean what it is given; a penalty on what a blur takes out
of the fourth channel, and one on values beyond `REACH`, or the channel would grow until noise and blur no longer
matter; and pictures of half the size from latents of half the size (scale equivariance, Skorokhodov et al. 2025,
arXiv:2502.14831). The first three channels are held to what they were, so that a denoiser that was trained on the old
latents has little to learn anew.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderTiny
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, l1_loss, relu

from training.autoencoder.network import WEIGHTS, encode, to_unit
from training.autoencoder.settings import LossSettings, Smoothing, TrainingSettings, load_autoencoder_settings
from training.autoencoder.train import CHECKED, HELD_OUT_SEED, WATCHED, difference, report, save, some, source, watch
from training.cache import DEFAULT_CACHE
from training.loop import Pace, train
from training.scenes.live import Live
from training.scenes.pool import Pool, draw_pool

COLOURS = 3
"""The channels that lie near the mean colour of their pixels."""

REACH = 1.5
"""How far the fourth channel may go unpunished; the others have a deviation of 1."""


def rough_power(latents: Tensor) -> Tensor:
    """The mean square of what a blur over 3x3 takes away from latents (n, c, h, w)."""
    return (latents[:, :, 1:-1, 1:-1] - avg_pool2d(latents, 3, stride=1)).square().mean()


def roughness(latents: Tensor) -> Tensor:
    """The share of their power that a blur over 3x3 takes away; 0.89 for white noise."""
    centred = latents - latents.mean(dim=(0, 2, 3), keepdim=True)
    return rough_power(latents) / centred.square().mean().clamp(min=1e-6)


def loss_of(model: nn.Module, x: Tensor, earlier: nn.Module, loss: LossSettings, smoothing: Smoothing) -> Tensor:
    """The loss of pictures (n, 3, side, side) in -1..1. earlier: the encoder as it was."""
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        latents = model.encode(x).latents
        with torch.no_grad():
            before = earlier(x)
        amount = smoothing.noise * torch.rand(len(x), 1, 1, 1, device=x.device)
        noisy = latents + amount * torch.randn_like(latents, dtype=torch.float32)
        y = model.decode(noisy).sample
        small = model.decode(avg_pool2d(noisy, 2)).sample
    told = difference(y.float(), x, loss) + smoothing.half_size * difference(small.float(), avg_pool2d(x, 2), loss)
    held = l1_loss(latents[:, :COLOURS].float(), before[:, :COLOURS].float())
    detail = latents[:, COLOURS:].float()
    beyond = relu(detail.abs() - REACH).square().mean()
    return told + smoothing.held * held + smoothing.rough * rough_power(detail) + smoothing.beyond * beyond


def learn(model: AutoencoderTiny, pool: Pool | Live, unseen: Tensor, training: TrainingSettings, loss: LossSettings,
          smoothing: Smoothing, work: Path, minutes: float, resume: bool) -> AutoencoderTiny:  # fmt: skip
    """Go on with a trained autoencoder; checkpoints lie in `work`. Returns the averaged network."""
    random = Random(1)
    batch = training.cuda_batch if model.device.type == "cuda" else training.batch
    earlier = copy.deepcopy(model.encoder).requires_grad_(False).eval()
    model.requires_grad_(True)

    def draw(_share: float) -> tuple[Tensor, ...]:
        return (to_unit(pool.crops(batch, training.crop_pixels, random)),)

    average, steps = train(
        model,
        lambda network, batch: loss_of(network, batch[0], earlier, loss, smoothing),
        draw,
        Pace(minutes, smoothing.learning_rate, training.warmup, 0.3, training.ema),
        work / "smooth",
        resume,
        on_save=lambda average: watch(average, unseen, 3, work),
    )
    print(f"{steps} steps", flush=True)
    return average


def main() -> None:
    """Train for the budget, save, measure."""
    settings = load_autoencoder_settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--minutes", type=float, default=settings.smoothing.minutes)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path, default=WEIGHTS, help="the autoencoder to begin with")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=1, help="which pool of scenes")
    options = parser.parse_args()
    work = options.cache / "autoencoder"
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    unseen = some(Pool(draw_pool(options.cache, HELD_OUT_SEED, CHECKED)))
    pool = source(options.cache, device, options.seed, settings.training.scenes)
    model = AutoencoderTiny.from_pretrained(options.start, torch_dtype=torch.float32)
    model = model.to(device, memory_format=torch.channels_last)
    print(f"before: {report(model, unseen)}, roughness {_roughness(model, unseen)}", flush=True)
    model = learn(model, pool, unseen[:WATCHED], settings.training, settings.loss, settings.smoothing, work,
                  options.minutes, options.resume)  # fmt: skip
    save(model, options.output, some(pool))
    print(f"after: {report(model, unseen)}, roughness {_roughness(model, unseen)}")


def _roughness(model: AutoencoderTiny, pictures: Tensor) -> list[float]:
    latents = encode(model, pictures)
    return [round(float(roughness(latents[:, [channel]])), 3) for channel in range(latents.shape[1])]


if __name__ == "__main__":
    main()
