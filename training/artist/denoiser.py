"""Train the UNet on cached latents under the frozen text encoder, and save the whole model.

    python -m training.artist.denoiser [--minutes 60] [--resume]

The UNet predicts v (Salimans and Ho 2022, arXiv:2202.00512) at uniform steps. The loss on the
predicted picture is weighted by min(SNR + 1, cap) (after min-SNR, Hang et al. 2023, arXiv:2303.09556;
the +1 keeps the noisiest steps, where the caption alone decides). The betas are rescaled so that the
last step holds no trace of the picture (Lin et al. 2023, arXiv:2305.08891): with Stable Diffusion's own
a trace is left by which a network that has seen few pictures tells them apart, and it never learns to
read. A share of each batch is drawn from the noisiest fifth, and a smaller one from pure noise.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.artist.autoencoder import encode_means
from training.artist.captions import DEFAULT_BACKGROUND, caption
from training.artist.networks import build_scheduler, build_unet, save_model
from training.artist.pictures import draw, split_scenes, world_with_names
from training.artist.scenes import Scene, World
from training.artist.settings import DenoiserSettings, Settings, load_settings
from training.artist.text import load_tokenizer, tokenize
from training.cache import DEFAULT_CACHE
from training.loop import Pace, train


class Batches:
    """Draws scenes, words them, and pairs token ids with latents."""

    def __init__(
        self, scenes: list[Scene], latents: Tensor, world: World, tokenizer: CLIPTokenizer, settings: DenoiserSettings
    ) -> None:
        self.scenes, self.latents, self.world, self.tokenizer, self.settings = (
            scenes,
            latents,
            world,
            tokenizer,
            settings,
        )
        self.white = [i for i, scene in enumerate(scenes) if scene.background == DEFAULT_BACKGROUND]
        self.random = Random()

    def draw(self) -> tuple[Tensor, Tensor]:
        """Token ids (batch, 32) and scaled latents (batch, 4, 32, 32)."""
        random, settings = self.random, self.settings
        every = range(len(self.scenes))
        chosen = [
            random.choice(self.white if random.random() < settings.white_share else every)
            for _ in range(settings.batch)
        ]
        words = [
            "" if random.random() < settings.empty_caption else caption(self.scenes[i], self.world, random)
            for i in chosen
        ]
        return tokenize(self.tokenizer, words), self.latents[chosen]


def loss_of(unet: nn.Module, condition: Tensor, latents: Tensor, alphas: Tensor, settings: DenoiserSettings) -> Tensor:
    """Weighted v-prediction loss: condition (batch, 32, width), `alphas` the cumulative products, (1000,)."""
    count, last = len(latents), len(alphas) - 1
    steps = torch.randint(last + 1, (count,), device=latents.device)
    noisiest = torch.randint(last * 4 // 5, last + 1, (count,), device=latents.device)
    place = torch.rand(count, device=latents.device)
    steps = torch.where(place < settings.noisy_share, noisiest, steps)
    steps = torch.where(place < settings.pure_noise_share, last, steps)
    alpha = alphas[steps].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    with torch.autocast(latents.device.type, dtype=torch.bfloat16):
        predicted = unet(noisy, steps, condition).sample
    error = (predicted.float() - target).square().mean(dim=(1, 2, 3))
    picture_weight = 1 / (1 - alpha.flatten())  # SNR + 1: the error on v as an error on the picture
    return (error * picture_weight.clamp(max=settings.snr_cap) / picture_weight).mean()


def prepare(cache: Path, settings: Settings) -> Batches:
    """Vocabulary and cached latents, made once."""
    work = cache / "artist"
    world = world_with_names(cache)
    scenes, _ = split_scenes(world, settings.scene)
    tokenizer = load_tokenizer(work / "tokenizer", scenes, world, settings)
    cached = work / "latents"
    if not cached.is_file():
        vae = AutoencoderKL.from_pretrained(work / "vae", torch_dtype=torch.float32)
        pictures = draw(scenes, world, settings.scene, cache)
        torch.save(encode_means(vae, pictures) * vae.config.scaling_factor, cached)
    latents = torch.load(cached, weights_only=True)
    return Batches(scenes, latents, world, tokenizer, settings.denoiser)


def main() -> None:
    """Train for the budget; at every checkpoint write the averaged model."""
    settings = load_settings()
    recipe = settings.denoiser
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--minutes", type=float, default=recipe.minutes)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    work = options.cache / "artist"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)

    batches = prepare(options.cache, settings)
    text_encoder = CLIPTextModel.from_pretrained(work / "text_encoder").to(device).requires_grad_(False)
    unet = build_unet(recipe, settings.text.width, batches.latents.shape[-1]).to(device)
    print(f"unet {sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M")
    alphas = build_scheduler().alphas_cumprod.to(device)

    def draw_batch(_share: float) -> tuple[Tensor, Tensor]:
        ids, latents = batches.draw()
        with torch.no_grad():
            return text_encoder(ids.to(device)).last_hidden_state, latents

    def save(average: nn.Module) -> None:
        networks = copy.deepcopy(average), copy.deepcopy(text_encoder)
        save_model(work / "model", *networks, work / "tokenizer", work / "vae")

    _, steps = train(
        unet,
        lambda network, batch: loss_of(network, *batch, alphas, recipe),
        draw_batch,
        Pace(options.minutes, recipe.learning_rate, recipe.warmup, recipe.decay_from, recipe.ema),
        work / "denoiser",
        options.resume,
        save,
    )
    print(f"{steps} steps, {steps * recipe.batch} pictures")


if __name__ == "__main__":
    main()
