"""Train the autoencoder (pictures <-> latents, 8 times smaller, 4 channels) and save it as diffusers does.

    python -m training.artist.autoencoder [--minutes 15] [--resume]

Loss: L1 of values, L1 of neighbouring differences (edges), a little KL divergence, and an anchor that
holds three of the four latent channels to the mean colour of their pixels: it shortens the start of
the training by far, and such latents are easy for a denoiser. Trained on random crops, then on whole
pictures, because GroupNorm's statistics depend on how much plain background it sees. Tensors stay
in the plain layout: on a CPU, GroupNorm's backward pass in channels_last and bf16 is 40 times slower.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss

from training.artist.pictures import draw, split_scenes, world_with_names
from training.artist.settings import AutoencoderSettings, load_settings
from training.cache import DEFAULT_CACHE
from training.loop import Pace, train
from training.pixels import to_unit


def build(settings: AutoencoderSettings, size_pixels: int) -> AutoencoderKL:
    """A fresh autoencoder without attention."""
    levels = len(settings.channels)
    return AutoencoderKL(
        block_out_channels=tuple(settings.channels),
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=settings.layers_per_block,
        norm_num_groups=settings.norm_groups,
        latent_channels=4,
        sample_size=size_pixels,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def random_crops(pictures: Tensor, count: int, side: int) -> Tensor:
    """Crops at random places: uint8 (count, 3, side, side)."""
    _, _, height, width = pictures.shape
    which = torch.randint(len(pictures), (count,)).tolist()
    tops = torch.randint(height - side + 1, (count,)).tolist()
    lefts = torch.randint(width - side + 1, (count,)).tolist()
    return torch.stack([pictures[i, :, t : t + side, x : x + side] for i, t, x in zip(which, tops, lefts, strict=True)])


def loss_of(model: AutoencoderKL, x: Tensor, settings: AutoencoderSettings) -> Tensor:
    """The training loss of one batch, x: (batch, 3, side, side) in -1..1."""
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        posterior = model.encode(x).latent_dist
        y = model.decode(posterior.sample()).sample
    y = y.float()
    edges = l1_loss(y.diff(dim=2), x.diff(dim=2)) + l1_loss(y.diff(dim=3), x.diff(dim=3))
    divergence = posterior.kl().float().sum() / posterior.mean.numel()
    anchor = l1_loss(posterior.mean[:, :3].float(), avg_pool2d(x, 8))
    return (
        l1_loss(y, x)
        + settings.gradient_weight * edges
        + settings.kl_weight * divergence
        + settings.anchor_weight * anchor
    )


@torch.no_grad()
def encode_means(model: AutoencoderKL, pictures: Tensor, batch: int = 8) -> Tensor:
    """The posterior means, unscaled: float (pictures, 4, size/8, size/8)."""
    device = model.device
    return torch.cat([model.encode(to_unit(part.to(device))).latent_dist.mean.cpu() for part in pictures.split(batch)])


@torch.no_grad()
def psnr_db(model: AutoencoderKL, pictures: Tensor, batch: int = 8) -> float:
    """Peak signal to noise ratio of the round trip, in dB, averaged over pictures."""
    values = []
    for part in pictures.split(batch):
        x = to_unit(part.to(model.device))
        y = model.decode(model.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        values.append(-10 * ((x - y) / 2).square().mean(dim=(1, 2, 3)).log10())
    return float(torch.cat(values).mean())


@torch.no_grad()
def normalize_latents(model: AutoencoderKL, latents: Tensor) -> None:
    """Give every latent channel mean 0 and deviation 1 by folding both into the 1x1 convolutions around it.

    Stable Diffusion's single `scaling_factor` cannot balance channels: the free one here was four times
    as loud as the three that hold colour. latents: (pictures, 4, height, width).
    """
    mean = latents.mean(dim=(0, 2, 3)).to(model.device)
    deviation = latents.std(dim=(0, 2, 3)).to(model.device)
    before, after, channels = model.quant_conv, model.post_quant_conv, len(mean)
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= deviation.view(1, -1, 1, 1)
    before.weight[:channels] /= deviation.view(-1, 1, 1, 1)
    before.bias[:channels] = (before.bias[:channels] - mean) / deviation
    before.bias[channels:] -= 2 * deviation.log()


def main() -> None:
    """Train for the budget, normalize the latents, save in fp16."""
    settings = load_settings()
    recipe = settings.autoencoder
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--minutes", type=float, default=recipe.minutes)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    work = options.cache / "artist"
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)

    world = world_with_names(options.cache)
    scenes, others = split_scenes(world, settings.scene)
    trained, held_out = (draw(part, world, settings.scene, options.cache) for part in (scenes, others))
    model = build(recipe, settings.scene.size_pixels).to("cuda" if torch.cuda.is_available() else "cpu")

    def draw_batch(share: float) -> tuple[Tensor]:
        whole = share > recipe.whole_from
        count, side = (2, settings.scene.size_pixels) if whole else (recipe.batch, recipe.crop_pixels)
        return (to_unit(random_crops(trained, count, side)),)

    finished, steps = train(
        model,
        lambda network, batch: loss_of(network, batch[0], recipe),
        draw_batch,
        Pace(options.minutes, recipe.learning_rate, warmup=0.03, decay_from=0.3),
        work / "autoencoder",
        options.resume,
    )
    normalize_latents(finished, encode_means(finished, trained))
    finished.half().save_pretrained(work / "vae", safe_serialization=True)
    finished.float()  # the rounded weights are what is measured
    decibels = [psnr_db(finished, pictures) for pictures in (trained[::8], held_out)]
    print(f"{steps} steps; PSNR {decibels[0]:.2f} dB trained, {decibels[1]:.2f} dB held out")


if __name__ == "__main__":
    main()
