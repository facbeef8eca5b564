"""What the judge says of a set of pictures, and how far they are from real ones.

The Frechet distance compares the judge's features (256 numbers a picture) of the drawn pictures with those of as many
real pictures of the very same scenes: each prompt's asked scene, made whole by lot with the recipe's weights
(`complete.py`) and drawn by the studio. So what is asked is alike on both sides, and the distance is about how it
looks. The table's column "scenes" is a second such set, drawn by other lots: its accuracy is what the judge itself
would give a faultless model, its distance what pure chance makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.evaluate.complete import complete
from training.evaluate.prompts import Prompt
from training.evaluate.score import Share, is_right, scores
from training.judge.classes import Classes
from training.judge.frechet import Spread, frechet_distance, spread_of
from training.judge.read import Reading
from training.scenes.sampler import Sampler
from training.scenes.scene import Scene

LEAST_PICTURES = 100
"""Of fewer pictures the covariance of 256 features says too little."""

Pictures = NDArray[np.uint8]


class Reader(Protocol):
    """The part of `Judge` that is used here; pictures are uint8 (n, 3, 256, 256)."""

    classes: Classes

    def read(self, pictures: Pictures) -> list[Reading]: ...

    def features(self, pictures: Pictures) -> NDArray[np.float32]: ...


class Draws(Protocol):
    """The part of `Studio` that is used here."""

    def pictures(self, scenes: list[Scene]) -> Pictures: ...


@dataclass(frozen=True)
class Measured:
    """`wrong` are the places in the list of the prompts that were not answered rightly; `frechet` is None where there
    are too few pictures."""

    scores: dict[str, Share]
    frechet: float | None
    wrong: tuple[int, ...]


def measure(prompts: Sequence[Prompt], pictures: Pictures, judge: Reader, real: Spread | None) -> Measured:
    """Judge the prompts' pictures, uint8 (n, 3, 256, 256) in the prompts' order. `real`: the reference's features."""
    readings = judge.read(pictures)
    right = [is_right(prompt, one, judge.classes) for prompt, one in zip(prompts, readings, strict=True)]
    wrong = tuple(prompt.place for prompt, yes in zip(prompts, right, strict=True) if not yes)
    spread = spread_at_best(pictures, judge)
    distance = frechet_distance(spread, real) if spread and real else None
    return Measured(scores(prompts, right), distance, wrong)


def spread_at_best(pictures: Pictures, judge: Reader) -> Spread | None:
    """The features' spread, None for too few pictures."""
    return spread_of(judge.features(pictures)) if len(pictures) >= LEAST_PICTURES else None


def real_pictures(prompts: Sequence[Prompt], sampler: Sampler, studio: Draws, lot: str) -> Pictures:
    """A real picture of each prompt's scene; what is left open is drawn by the named `lot`."""
    scenes = [complete(prompt.scene, sampler, Random(f"{lot}, {prompt.place}")) for prompt in prompts]
    return np.ascontiguousarray(studio.pictures(scenes).transpose(0, 3, 1, 2))
