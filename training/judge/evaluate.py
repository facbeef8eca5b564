"""How often the judge is right on scenes it never saw, clean, as noise, and passed through the autoencoder.

python -m training.judge.evaluate [--scenes 2000] [--weights FOLDER] [--cache FOLDER] [--confusions N]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from training.cache import DEFAULT_CACHE
from training.judge.augment import Distort, load_distort
from training.judge.classes import Classes
from training.judge.judge import Judge, load_judge
from training.judge.questions import accuracy, answers
from training.judge.read import Reading
from training.judge.settings import WEIGHTS
from training.judge.supply import Sampler, Studio, noise_picture, to_tensor
from training.scenes.names import load_world
from training.scenes.sampler import Sampler as WorldSampler
from training.scenes.scene import Scene
from training.scenes.studio import Studio as WorldStudio

UNSEEN = "judge, unseen"
"""The seed of the scenes it is measured on; those it learns from have others."""

CHUNK = 64
AUTOENCODER = Path(__file__).parents[1] / "autoencoder" / "vae"
Accuracy = dict[str, tuple[float, int]]


def unseen_scenes(sampler: Sampler, count: int, seed: str = UNSEEN) -> list[Scene]:
    """Scenes to measure on."""
    random = Random(seed)
    return [sampler.scene(random) for _ in range(count)]


def read_scenes(judge: Judge, studio: Studio, scenes: list[Scene], change: Distort | None = None) -> list[Reading]:
    """What the judge sees in the scenes' pictures, which `change` may have altered."""
    readings: list[Reading] = []
    for start in range(0, len(scenes), CHUNK):
        pictures = to_tensor(studio.pictures(scenes[start : start + CHUNK]))
        readings += judge.read(change(pictures) if change else pictures)
    return readings


def measure(judge: Judge, studio: Studio, scenes: list[Scene], change: Distort | None = None) -> Accuracy:
    """The accuracy for each kind of question, and "alone": no object is seen that is not there."""
    readings = read_scenes(judge, studio, scenes, change)
    pairs = list(zip(scenes, readings, strict=True))
    rows = [answers(scene, reading, judge.classes) for scene, reading in pairs]
    alone = sum(len(reading.seen) <= len(scene.items) for scene, reading in pairs)
    return {**accuracy(rows), "alone": (alone / len(scenes), len(scenes))}


def as_noise(pictures: Tensor) -> Tensor:
    """Noise in place of each picture."""
    random = Random("noise")
    return torch.stack([noise_picture(random, pictures.shape[-1]) for _ in pictures])


def confusions(scenes: list[Scene], readings: list[Reading], classes: Classes) -> list[tuple[str, str, int]]:
    """Asked thing, seen thing, how often: of pictures where one asked thing is missing and one other is seen."""
    mistaken: Counter[tuple[str, str]] = Counter()
    for scene, reading in zip(scenes, readings, strict=True):
        asked, seen = {classes.class_of(item.thing) for item in scene.items}, set(reading.counts)
        if len(asked - seen) == 1 and len(seen - asked) == 1:
            mistaken[(*(asked - seen), *(seen - asked))] += 1  # type: ignore[index]
    return [(*pair, count) for pair, count in mistaken.most_common()]


def as_table(columns: dict[str, Accuracy]) -> str:
    """Kinds of questions down, conditions across."""
    first = next(iter(columns.values()))
    lines = [f"{'question':<12}{'asked':>7}" + "".join(f"{name:>14}" for name in columns)]
    for kind, (_, count) in first.items():
        shares = "".join(f"{100 * column[kind][0]:>13.1f}%" for column in columns.values())
        lines.append(f"{kind:<12}{count:>7}{shares}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--autoencoder", type=Path, default=AUTOENCODER)
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--confusions", type=int, default=0, metavar="N", help="also the N most common mistakes")
    options = parser.parse_args()
    judge = load_judge(options.weights).to("cuda" if torch.cuda.is_available() else "cpu")
    world = load_world(options.cache)
    studio = WorldStudio(world, options.cache)
    scenes = unseen_scenes(WorldSampler(world), options.scenes)
    columns = {"unseen": measure(judge, studio, scenes), "noise": measure(judge, studio, scenes, as_noise)}
    distort = load_distort(options.autoencoder)
    if distort:
        columns["autoencoded"] = measure(judge, studio, scenes, distort)
    print(as_table(columns))
    if options.confusions:
        mistaken = confusions(scenes, read_scenes(judge, studio, scenes), judge.classes)
        for asked, seen, count in mistaken[: options.confusions]:
            print(f"{count:>4} {asked} taken for {seen}")


if __name__ == "__main__":
    main()
