"""Train the teacher: a UNet on the latents of the recipe's scenes, with the text encoder that reads their captions.

    python -m training.artist.teacher [--recipe cpu] [--start FOLDER] [--minutes 120] [--resume]

Draws and encodes the scenes and teaches the text encoder first, where that has not been done yet. `--start` begins
with the UNet, text encoder and tokenizer of a model that was trained before instead of fresh ones.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from nutshell.compress.teaching.noise import add_noise, draw_steps
from training.artist import text
from training.artist.batches import open_batches
from training.artist.layout import LayoutHead, Mapper
from training.artist.networks import build_scheduler, build_unet, for_training
from training.artist.options import Options, options_of, parser_of
from training.artist.package import Artist, load_artist, save_artist
from training.artist.settings import TeacherTraining
from training.loop import Pace, train
from training.scenes.studio import Studio


class Teacher(nn.Module):
    """UNet, text encoder, and the head that reads a layout from the UNet's second ascending level."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, mapper: Mapper) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder
        read = unet.up_blocks[-3]  # its output has 16 cells a side
        self.layout_head = LayoutHead(read.resnets[-1].out_channels, mapper)
        read.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.features = output

    def loss(self, batch: tuple[Tensor, ...], alphas: Tensor, settings: TeacherTraining) -> Tensor:
        """Loss of token ids, latents and layouts (kind, colour, worn)."""
        ids, latents, *layout = batch
        steps = draw_steps(len(latents), settings, len(alphas) - 1, latents.device)
        noised = add_noise(latents, steps, alphas)
        with torch.autocast(latents.device.type, dtype=torch.bfloat16):
            condition = self.text_encoder(ids).last_hidden_state
            predicted = self.unet(noised.noisy, steps, condition).sample
            layout_loss = self.layout_head.loss(self.features, *layout)
        self.features = None
        return noised.error(predicted, settings.snr_cap) + settings.layout_weight * layout_loss


def learn(options: Options, start: Path | None = None) -> Path:
    """Train for the budget; at every checkpoint write the averaged model. Returns its folder.

    `start` is a model to begin with, whose UNet decides about the widths.
    """
    work, device, settings = options.work, options.device, options.recipe.teacher_training
    begun = load_artist(start) if start is not None else _fresh(options)
    batches = open_batches(options, begun.tokenizer)
    mapper = Mapper(batches.world)
    layout = mapper.layout(batches.scenes, Studio(batches.world, options.cache))
    unet = for_training(begun.unet.to(device))
    teacher = Teacher(unet, begun.text_encoder, mapper).to(device)
    print(f"unet {sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M", flush=True)
    alphas = build_scheduler().alphas_cumprod.to(device)

    def draw_batch(share: float) -> tuple[Tensor, ...]:
        batch = batches.draw(settings.batch, settings.empty_caption, share < settings.simple_until)
        maps = (part[batch.numbers] for part in (layout.kind, layout.colour, layout.worn))
        return batch.ids, batch.latents, *maps

    def save(average: nn.Module) -> None:
        save_artist(Artist(average.unet, average.text_encoder, begun.tokenizer), work / "teacher")

    _, steps = train(
        teacher,
        lambda network, batch: network.loss(batch, alphas, settings),
        draw_batch,
        Pace(options.minutes or settings.minutes, settings.learning_rate, settings.warmup, settings.decay_from,
             settings.ema, {"text_encoder.": settings.text_rate}),
        work / "teacher-training",
        options.resume,
        save,
    )  # fmt: skip
    print(f"{steps} steps, {steps * settings.batch} pictures")
    return work / "teacher"


def _fresh(options: Options) -> Artist:
    """A new UNet, and the text encoder that has learned to read, which it does now if it has not."""
    recipe, work = options.recipe, options.work
    if not (work / "text_encoder" / "config.json").is_file():
        text.learn(options)
    unet = build_unet(recipe.teacher, recipe.text.width)
    text_encoder = CLIPTextModel.from_pretrained(work / "text_encoder", dtype=torch.float32)
    return Artist(unet, text_encoder, work / "tokenizer")


def main() -> None:
    """Read the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--start", type=Path, help="a model that this program or student.py wrote")
    given = parser.parse_args()
    learn(options_of(given), given.start)


if __name__ == "__main__":
    main()
