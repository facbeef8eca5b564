"""Teach the text encoder what the captions say, before any picture is drawn.

    python -m training.artist.text [--recipe cpu] [--minutes 5] [--resume]

The first end-of-text token and one of those that follow must tell what is there, what it wears, its colour, size and
place, and the background. Trained from nothing together with the UNet, the text was still ignored after 700 steps;
read from an encoder that already tells the captions apart, it is used from the first step.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.artist.networks import build_text_encoder, tokenize
from training.artist.options import Options, read_options
from training.artist.reading import Clerk, Heads, Said
from training.artist.settings import Recipe
from training.artist.subjects import recipe_sampler
from training.artist.vocabulary import write_vocabulary
from training.loop import Pace, train
from training.scenes.captions import caption
from training.scenes.sampler import Sampler


def load_tokenizer(folder: Path, recipe: Recipe, sampler: Sampler) -> CLIPTokenizer:
    """The model's tokenizer, made from captions at the first call."""
    if not (folder / "vocab.json").is_file():
        random, settings = Random(0), recipe.text
        texts = [caption(sampler.scene(random), sampler.world, random) for _ in range(settings.captions)]
        write_vocabulary(texts, folder, settings.max_length, settings.max_english_merges)
    return CLIPTokenizer.from_pretrained(folder)


class Reader(nn.Module):
    """The text encoder with heads for what a caption says."""

    def __init__(self, text_encoder: CLIPTextModel, clerk: Clerk) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.end = int(text_encoder.config.eos_token_id)
        self.heads = Heads(text_encoder.config.hidden_size, clerk)

    def loss(self, ids: Tensor, *said: Tensor) -> Tensor:
        """Loss over the first end token and one of the padding; ids (texts, length)."""
        with torch.autocast(ids.device.type, dtype=torch.bfloat16):
            hidden = self.text_encoder(ids).last_hidden_state
        rows = torch.arange(len(ids), device=ids.device)
        first = (ids == self.end).int().argmax(dim=1)
        later = first + (torch.rand(len(ids), device=ids.device) * (ids.shape[1] - first)).long()
        return torch.stack([self.heads.loss(hidden[rows, at].float(), Said(*said)) for at in (first, later)]).mean()


def learn(options: Options) -> Path:
    """Train the reader and save its text encoder; returns the folder."""
    recipe, work = options.recipe, options.work
    settings, sampler = recipe.text, recipe_sampler(recipe, options.cache)
    tokenizer = load_tokenizer(work / "tokenizer", recipe, sampler)
    clerk = Clerk(sampler.world)
    reader = Reader(build_text_encoder(settings, tokenizer), clerk).to(options.device)
    size = sum(parameter.numel() for parameter in reader.text_encoder.parameters())
    print(f"{len(tokenizer)} tokens, {size / 1e6:.2f} M parameters", flush=True)
    random = Random()

    def draw_batch(_share: float) -> tuple[Tensor, ...]:
        scenes = [sampler.scene(random) for _ in range(settings.batch)]
        words = [caption(scene, sampler.world, random, empty_share=0.03) for scene in scenes]
        ids = tokenize(tokenizer, words)
        # Later tokens do not change earlier ones, so what is padding in every row need not be computed.
        longest = int((ids == reader.end).int().argmax(dim=1).max()) + 3
        return ids[:, :longest], *clerk.said(scenes, words).tensors()

    finished, steps = train(
        reader,
        lambda model, batch: model.loss(*batch),
        draw_batch,
        Pace(options.minutes or settings.minutes, settings.learning_rate, settings.warmup, settings.decay_from),
        work / "text",
        options.resume,
    )
    finished.text_encoder.save_pretrained(work / "text_encoder", safe_serialization=True)
    print(f"{steps} steps, {steps * settings.batch} captions")
    return work / "text_encoder"


if __name__ == "__main__":
    learn(read_options(__doc__))
