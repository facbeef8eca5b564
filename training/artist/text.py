"""Teach the text encoder what the captions say, before any picture is drawn.

    python -m training.artist.text [--minutes 3] [--resume]

Every position from the end-of-text token on must tell the subject, what it wears and the background.
Trained from nothing together with the UNet, the text was still ignored after 700 steps; read from an
encoder that already tells the captions apart, it is used from the first step. The encoder is then frozen.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import CLIPTokenizer

from training.artist.captions import caption
from training.artist.networks import build_text_encoder
from training.artist.pictures import split_scenes, world_with_names
from training.artist.scenes import Scene, World
from training.artist.settings import Settings, load_settings
from training.artist.vocabulary import write_vocabulary
from training.cache import DEFAULT_CACHE
from training.loop import Pace, train

VOCABULARY_CAPTIONS = 60_000


def tokenize(tokenizer: CLIPTokenizer, words: list[str]) -> Tensor:
    """Token ids padded to the model's length: (texts, 32)."""
    return tokenizer(words, padding="max_length", truncation=True, return_tensors="pt").input_ids


def load_tokenizer(folder: Path, scenes: list[Scene], world: World, settings: Settings) -> CLIPTokenizer:
    """The model's tokenizer, made from captions at the first call."""
    if not (folder / "vocab.json").is_file():
        random = Random(0)
        texts = [caption(random.choice(scenes), world, random) for _ in range(VOCABULARY_CAPTIONS)]
        write_vocabulary(texts, folder, settings.text.max_length, settings.text.max_english_merges)
    return CLIPTokenizer.from_pretrained(folder)


class Reader(nn.Module):
    """The text encoder with one linear classifier for each thing a caption says (0 stands for nothing)."""

    def __init__(self, text_encoder: nn.Module, width: int, classes: tuple[int, ...]) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in classes)

    def loss(self, ids: Tensor, labels: Tensor, end: int) -> Tensor:
        """Cross entropy over the positions holding `end`; ids (texts, 32), labels (texts, 3)."""
        with torch.autocast(ids.device.type, dtype=torch.bfloat16):
            hidden = self.text_encoder(ids).last_hidden_state
        places = ids == end
        found = hidden.float()[places]
        wanted = labels[:, None, :].expand(-1, ids.shape[1], -1)[places]
        return torch.stack([cross_entropy(head(found), wanted[:, i]) for i, head in enumerate(self.heads)]).sum()


def main() -> None:
    """Train the reader and save its text encoder."""
    settings = load_settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--minutes", type=float, default=settings.text.minutes)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    work = options.cache / "artist"
    torch.manual_seed(0)

    world = world_with_names(options.cache)
    scenes, _ = split_scenes(world, settings.scene)
    tokenizer = load_tokenizer(work / "tokenizer", scenes, world, settings)
    names = [[*world.subjects], ["", *world.wearables], [*settings.scene.backgrounds]]
    reader = Reader(
        build_text_encoder(settings.text, tokenizer), settings.text.width, tuple(len(part) + 1 for part in names)
    ).to("cuda" if torch.cuda.is_available() else "cpu")
    random = Random(1)

    def draw_batch(_share: float) -> tuple[Tensor, Tensor]:
        words, labels = [], []
        for _ in range(settings.text.batch):
            scene = random.choice(scenes)
            empty = random.random() < settings.denoiser.empty_caption
            words.append("" if empty else caption(scene, world, random))
            said = (scene.subject, scene.wear, scene.background)
            labels.append([0 if empty else part.index(word) + 1 for part, word in zip(names, said, strict=True)])
        return tokenize(tokenizer, words), torch.tensor(labels)

    pace = Pace(options.minutes, settings.text.learning_rate, warmup=0.1, decay_from=0.4)
    finished, steps = train(
        reader,
        lambda model, batch: model.loss(*batch, tokenizer.eos_token_id),
        draw_batch,
        pace,
        work / "text",
        options.resume,
    )
    finished.text_encoder.save_pretrained(work / "text_encoder", safe_serialization=True)
    print(f"{steps} steps, {steps * settings.text.batch} captions")


if __name__ == "__main__":
    main()
