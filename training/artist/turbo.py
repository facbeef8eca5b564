"""Distil the guided artist into one that needs a few steps of one pass each, guidance folded in.

    python -m training.artist.turbo [--recipe cpu] [--source FOLDER] [--start FOLDER] [--minutes 30] [--resume]

What it learns is in `nutshell.compress.teaching.few_steps`: each of the few steps where several guided steps of the
source lead. In a second part the pupil runs from noise by itself, so that each step also learns to mend what the one
before left: its last latent is held to the source's.

The pupil may be smaller than its source: `--start` names the model whose UNet it begins with.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from nutshell.compress.teaching.ddim import Predict
from nutshell.compress.teaching.few_steps import FewSteps
from training.artist.batches import open_batches
from training.artist.networks import build_scheduler, for_training
from training.artist.options import Options, options_of, parser_of
from training.artist.package import Artist, load_artist, save_artist
from training.artist.settings import TurboTraining
from training.artist.trajectories import Runner, draw_trajectories, load_trajectories, trajectories_folder
from training.loop import Pace, train


class Pupil(nn.Module):
    """The UNet that learns; the text encoder is the source's and stays as it is."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, settings: TurboTraining) -> None:
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder.requires_grad_(False)
        self.few = FewSteps.of(settings.steps, build_scheduler().alphas_cumprod)

    def loss(self, ids: Tensor, states: Tensor) -> Tensor:
        """One step each from a state of the source's run: ids (n, length), states (n, 1 + few, 4, h, w)."""
        number = torch.randint(len(self.few.steps), (len(ids),), device=ids.device)
        return self.few.loss(self._predict(self._read(ids)), states, number)

    def run_loss(self, ids: Tensor, states: Tensor) -> Tensor:
        """All steps from the noise of a run; each latent on the way against the source's."""
        return self.few.run_loss(self._predict(self._read(ids)), states)

    def _read(self, ids: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(ids.device.type, dtype=torch.bfloat16):
            hidden: Tensor = self.text_encoder(ids).last_hidden_state
        return hidden

    def _predict(self, condition: Tensor) -> Predict:
        def predict(latents: Tensor, steps: Tensor) -> Tensor:
            with torch.autocast(latents.device.type, dtype=torch.bfloat16):
                predicted: Tensor = self.unet(latents, steps, condition).sample.float()
            return predicted

        return predict


def learn(options: Options, source_folder: Path, start_folder: Path | None = None) -> Path:
    """Run the source, train the pupil for the budget; at every checkpoint write the averaged model.

    start_folder: the model whose UNet the pupil begins with, the source's own for None. Returns the folder written.
    Raises `ValueError` where both do not read captions the same way.
    """
    work, device, settings = options.work, options.device, options.recipe.turbo
    source = load_artist(source_folder)
    batches = open_batches(options, source.tokenizer)
    folder = trajectories_folder(work, source_folder, settings)
    draw_trajectories(Runner(source, batches, settings, device), folder, settings.runs)
    ids, states = load_trajectories(folder)
    start = source if start_folder is None else _begin_with(start_folder, source)
    unet = for_training(copy.deepcopy(start.unet).to(device))
    pupil = Pupil(unet, source.text_encoder, settings).to(device)

    def draw_batch(share: float) -> tuple[Tensor, ...]:
        whole = share >= settings.whole_from
        chosen = torch.randint(len(ids), (settings.whole_batch if whole else settings.batch,))
        return torch.full((len(chosen),), whole), ids[chosen], states[chosen]

    def loss_of(network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        whole, *rest = batch
        loss: Tensor = network.run_loss(*rest) if whole[0] else network.loss(*rest)
        return loss

    def save(average: nn.Module) -> None:
        save_artist(Artist(average.unet, source.text_encoder, source.tokenizer), work / "turbo")

    _, steps = train(
        pupil,
        loss_of,
        draw_batch,
        Pace(options.minutes or settings.minutes, settings.learning_rate, settings.warmup, settings.decay_from,
             settings.ema),
        work / "turbo-training",
        options.resume,
        save,
    )  # fmt: skip
    print(f"{steps} steps")
    return work / "turbo"


def _begin_with(folder: Path, source: Artist) -> Artist:
    start = load_artist(folder)
    ours, theirs = start.text_encoder.state_dict(), source.text_encoder.state_dict()
    if ours.keys() != theirs.keys() or any(not torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in ours):
        raise ValueError(f"{folder} has another text encoder than the source")
    return start


def main() -> None:
    """Read the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--source", type=Path, help="the guided model (the recipe's student if not given)")
    parser.add_argument("--start", type=Path, help="the model whose UNet it begins with (the source's if not given)")
    given = parser.parse_args()
    options = options_of(given)
    learn(options, given.source or options.work / "student", given.start)


if __name__ == "__main__":
    main()
