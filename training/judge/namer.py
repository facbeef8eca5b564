"""The network that says what is in a box: which thing, its colour, what it wears and holds."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from training.judge.blocks import Block, stem
from training.judge.classes import COLOUR_CLASSES, Classes
from training.judge.crops import CROP_PIXELS
from training.judge.labels import UNKNOWN


class Names(NamedTuple):
    """Logits for a batch of crops, each (batch, number of classes); `covered` (batch,)."""

    thing: Tensor
    colour: Tensor
    wearing: Tensor
    holding: Tensor
    covered: Tensor


class Namer(nn.Module):
    """A residual network over crops of 64x64 pixels; one linear layer answers all questions.

    Before it, every place has weights of its own, because crops show their object in the middle and at one size:
    with the mean over all places instead, half as many were right after 26,000 crops. `gathered` is how many values
    the places give together; 512 instead of 256 made half as many right again.
    """

    def __init__(self, classes: Classes, widths: tuple[int, ...], blocks: tuple[int, ...], gathered: int) -> None:
        super().__init__()
        self.parts = [
            len(classes.things),
            len(COLOUR_CLASSES),
            len(classes.wearables),
            len(classes.holdables),
            1,
        ]
        layers, channels = [], widths[0]
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for index in range(count):
                layers.append(Block(channels, width, 2 if level and not index else 1))
                channels = width
        self.stem = stem(widths[0])
        self.body = nn.Sequential(*layers)
        cells = (CROP_PIXELS // 4 // 2 ** (len(widths) - 1)) ** 2
        self.gather = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(cells * channels),
            nn.Linear(cells * channels, gathered, bias=False),
            nn.BatchNorm1d(gathered),
            nn.ReLU(),
        )
        self.head = nn.Linear(gathered, sum(self.parts))

    def forward(self, x: Tensor) -> Names:
        """x: (batch, 3, 64, 64) in -1..1."""
        answers = self.head(self.gather(self.body(self.stem(x)))).float()
        thing, colour, wearing, holding, covered = answers.split(self.parts, dim=1)
        return Names(thing, colour, wearing, holding, covered[:, 0])


def namer_losses(names: Names, labels: Names, smoothing: float) -> dict[str, Tensor]:
    """How wrong the names are, in parts to be summed. `labels`: indices, or zeros and ones, or `UNKNOWN`."""
    thing = cross_entropy(names.thing, labels.thing, label_smoothing=smoothing)
    colour = cross_entropy(names.colour, labels.colour, ignore_index=UNKNOWN, reduction="sum")
    holding = cross_entropy(names.holding, labels.holding, ignore_index=UNKNOWN, reduction="sum")
    wearing = known_cross_entropy(names.wearing, labels.wearing)
    covered = known_cross_entropy(names.covered, labels.covered)
    count = len(names.thing)
    return {
        "thing": thing,
        "colour": 0.5 * colour / count,
        "holding": 0.5 * holding / count,
        "wearing": wearing / count,
        "covered": 0.2 * covered / count,
    }


def known_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy summed over all labels that are known."""
    each = binary_cross_entropy_with_logits(logits, labels.clamp(min=0), reduction="none")
    return (each * (labels != UNKNOWN)).sum()
