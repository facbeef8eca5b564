"""What every training of the artist learns from: captions of the recipe's scenes, paired with their latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from training.artist.latents import draw_latents, load_latents
from training.artist.networks import tokenize
from training.artist.options import Options
from training.artist.subjects import recipe_sampler
from training.scenes.captions import caption
from training.scenes.scene import Scene
from training.scenes.world import World


@dataclass(frozen=True)
class Batch:
    """Token ids (n, max_length), scaled latents (n, 4, 32, 32) in float32, and their places in the pool, (n,)."""

    ids: Tensor
    latents: Tensor
    numbers: Tensor


@dataclass
class Batches:
    """Draws scenes of a pool, words them anew each time, and pairs token ids with latents (float16 (n, 4, 32, 32))."""

    latents: Tensor
    scenes: list[Scene]
    world: World
    tokenizer: CLIPTokenizer
    random: Random

    def __post_init__(self) -> None:
        self._simple = [number for number, scene in enumerate(self.scenes) if len(scene.items) == 1]

    def draw(self, count: int, empty_share: float, simple: bool = False) -> Batch:
        """A batch; `empty_share` of the captions are left empty, `simple` picks only scenes of one thing."""
        chosen = self.random.choices(self._simple if simple else range(len(self.scenes)), k=count)
        words = [caption(self.scenes[n], self.world, self.random, empty_share=empty_share) for n in chosen]
        numbers = torch.tensor(chosen)
        return Batch(tokenize(self.tokenizer, words), self.latents[numbers.to(self.latents.device)].float(), numbers)


def open_batches(options: Options, tokenizer: Path) -> Batches:
    """Batches of the recipe's training scenes, drawn and encoded where they are not there yet."""
    recipe, device = options.recipe, options.device
    latents, scenes = load_latents(draw_latents(recipe, options.cache, "train", recipe.latents.scenes, device.type))
    world = recipe_sampler(recipe, options.cache).world
    return Batches(latents.to(device), scenes, world, CLIPTokenizer.from_pretrained(tokenizer), Random())
