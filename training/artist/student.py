"""Train the student: a smaller UNet cut out of the teacher, which learns to do what the teacher does.

    python -m training.artist.student [--recipe cpu] [--teacher FOLDER] [--minutes 60] [--resume] [--output FOLDER]

The text encoder is the teacher's and stays as it is.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nutshell.compress.teaching.checkpoint import MANIFEST
from nutshell.compress.teaching.noise import add_noise, draw_steps
from training.artist.batches import Batches, open_batches
from training.artist.distil import Guide, Student, read
from training.artist.importance import magnitude, taylor
from training.artist.networks import build_scheduler, for_training
from training.artist.options import Options, options_of, parser_of
from training.artist.package import Artist, load_artist, save_artist
from training.artist.prune import cut, select, wiring_of
from training.artist.settings import StudentTraining, UNetSettings
from training.loop import Pace, train


def importance(teacher: Artist, batches: Batches, alphas: Tensor, settings: StudentTraining) -> dict[str, Tensor]:
    """How much each weight of the teacher matters to its own loss, over `importance_batches` batches."""
    device = alphas.device

    def loss_of() -> Tensor:
        batch = batches.draw(settings.batch, settings.empty_caption)
        latents, condition = batch.latents.to(device), read(teacher.text_encoder, batch.ids.to(device))
        noised = add_noise(latents, draw_steps(len(latents), settings, len(alphas) - 1, device), alphas)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            predicted = teacher.unet(noised.noisy, noised.steps, condition).sample
        return noised.error(predicted, settings.snr_cap)

    return taylor(teacher.unet, loss_of, settings.importance_batches)


def distil(
    teacher: Artist, shape: UNetSettings, batches: Batches, settings: StudentTraining, pace: Pace, checkpoint: Path,
    resume: bool, output: Path,
) -> Artist:  # fmt: skip
    """Cut the student out of the teacher, train it on the device where that is, and write its average to `output`.

    Returns what was written last.
    """
    alphas = build_scheduler().alphas_cumprod.to(teacher.unet.device)
    wiring = wiring_of(teacher.unet, shape)
    if resume and (checkpoint / MANIFEST).is_file():
        scores = magnitude(teacher.unet)  # the checkpoint replaces whatever is chosen
    else:
        scores = importance(teacher, batches, alphas, settings)
    kept = select(wiring, scores)
    student = Student(for_training(cut(teacher.unet, wiring, kept)), wiring, kept).to(alphas.device)
    print(f"unet {sum(p.numel() for p in student.unet.parameters()) / 1e6:.2f} M", flush=True)
    guide = Guide(teacher.unet, teacher.text_encoder)

    def draw_batch(_share: float) -> tuple[Tensor, ...]:
        batch = batches.draw(settings.batch, settings.empty_caption)
        return batch.ids, batch.latents

    def artist(average: nn.Module) -> Artist:
        return Artist(average.unet, teacher.text_encoder, teacher.tokenizer)

    average, steps = train(
        student,
        lambda network, batch: network.loss(batch, guide, alphas, settings),
        draw_batch,
        pace,
        checkpoint,
        resume,
        lambda average: save_artist(artist(average), output),
    )
    print(f"{steps} steps, {steps * settings.batch} pictures")
    return artist(average)


def open_teacher(folder: Path, device: torch.device) -> Artist:
    """The teacher with its text encoder frozen. Raises `FileNotFoundError` where there is none yet."""
    if not (folder / "unet" / "config.json").is_file():
        raise FileNotFoundError(f"no teacher in {folder}: train one with python -m training.artist.teacher")
    artist = load_artist(folder)
    unet = for_training(artist.unet.to(device))
    return Artist(unet, artist.text_encoder.to(device).requires_grad_(False), artist.tokenizer)


def learn(options: Options, teacher_folder: Path, output: Path) -> Path:
    """Train the recipe's student of a teacher; returns where the model was written."""
    settings = options.recipe.student_training
    teacher = open_teacher(teacher_folder, options.device)
    minutes = options.minutes or settings.minutes
    pace = Pace(minutes, settings.learning_rate, settings.warmup, settings.decay_from, settings.ema)
    distil(teacher, options.recipe.student, open_batches(options, teacher.tokenizer), settings, pace,
           options.work / "student-training", options.resume, output)  # fmt: skip
    return output


def main() -> None:
    """Read the command line, train, save."""
    parser = parser_of(__doc__)
    parser.add_argument("--teacher", type=Path, help="a model that `training.artist.teacher` wrote")
    parser.add_argument("--output", type=Path, help="where the model is written")
    given = parser.parse_args()
    options = options_of(given)
    learn(options, given.teacher or options.work / "teacher", given.output or options.work / "student")


if __name__ == "__main__":
    main()
