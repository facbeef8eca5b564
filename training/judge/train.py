"""Train the judge and measure it on scenes it never saw.

    python -m training.judge.train [--minutes N] [--resume] [--cache FOLDER] [--output FOLDER]

The finder learns from whole pictures, then the namer from boxes cut out of them. A process beside the training
draws the scenes and keeps a few chunks ahead. Checkpoints and tables of losses lie in `judge` below the cache.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from training.cache import DEFAULT_CACHE
from training.judge.augment import blemish, load_distort, shift
from training.judge.blocks import settle
from training.judge.classes import classes_of
from training.judge.crops import crop, random_jitter
from training.judge.evaluate import AUTOENCODER, as_table, measure, unseen_scenes
from training.judge.finder import CELLS, Finder, FinderTargets, finder_losses
from training.judge.judge import Judge, Widths, load_judge, save_judge
from training.judge.namer import Namer, Names, namer_losses
from training.judge.ring import Ring, Rows
from training.judge.settings import WEIGHTS, FinderSettings, JudgeSettings, NamerSettings, load_judge_settings
from training.judge.supply import CHUNK, Beside, Source
from training.judge.table import Table
from training.judge.targets import build
from training.loop import Pace, train
from training.pixels import to_unit
from training.scenes.names import load_world
from training.scenes.sampler import Sampler
from training.scenes.studio import Studio
from training.scenes.world import World

Draw = Callable[[int], tuple[Rows, Rows]]
Losses = Callable[..., dict[str, Tensor]]
N = TypeVar("N", Finder, Namer)
WARMUP, DECAY_FROM = 0.03, 0.3
SETTLE_BATCHES = 60
MOST_SHIFT = 3
"""Pixels of the finder's 128 by which a batch is moved, the boxes with it."""


def train_finder(
    finder: Finder, settings: FinderSettings, ring: Ring, draw: Draw, pace: Pace, work: Path, resume: bool = False
) -> Finder:
    """Teach `finder` to find; returns the trained network."""

    def prepare(rows: Rows) -> tuple[Tensor, ...]:
        pictures, boxes = moved(to_unit(rows["picture"]), rows["boxes"])
        return blemish(pictures), boxes, rows["background"], rows["colours"], rows["style"], rows["groups"]

    def losses(found: Any, boxes: Tensor, *labels: Tensor) -> dict[str, Tensor]:
        return finder_losses(found, FinderTargets(*build(boxes, CELLS), *labels))

    supply = Supply(ring, settings.batch, lambda: draw(CHUNK)[0], prepare)
    return _teach(finder, "finder", supply, losses, pace, work, resume)


def train_namer(
    namer: Namer, settings: NamerSettings, ring: Ring, draw: Draw, pace: Pace, work: Path, resume: bool = False
) -> Namer:
    """Teach `namer` to name; returns the trained network."""

    def prepare(rows: Rows) -> tuple[Tensor, ...]:
        crops = blemish(crop(rows["cut"], random_jitter(settings.batch)))
        return crops, rows["thing"], rows["colour"], rows["wearing"], rows["holding"], rows["covered"]

    def losses(names: Any, *labels: Tensor) -> dict[str, Tensor]:
        return namer_losses(names, Names(*labels), settings.smoothing)

    supply = Supply(ring, settings.batch, lambda: draw(CHUNK)[1], prepare)
    return _teach(namer, "namer", supply, losses, pace, work, resume)


class Supply(NamedTuple):
    """Where batches come from: `draw` fills `ring`, `prepare` makes of its rows the picture and the labels."""

    ring: Ring
    size: int
    draw: Callable[[], Rows]
    prepare: Callable[[Rows], tuple[Tensor, ...]]

    def batch(self) -> tuple[Tensor, ...]:
        """The next one."""
        while self.ring.wants(self.size):
            self.ring.put(self.draw())
        picture, *labels = self.prepare(self.ring.take(self.size))
        return picture.contiguous(memory_format=torch.channels_last), *labels


def _teach(
    network: N,
    name: str,
    supply: Supply,
    losses: Callable[..., dict[str, Tensor]],
    pace: Pace,
    work: Path,
    resume: bool,
) -> N:
    """Train on batches of a picture and labels; `losses(what the network says, *labels)` are summed."""
    table = Table(work / f"{name}.csv", resume)

    def draw_batch(share: float) -> tuple[Tensor, ...]:
        table.step(share)
        return supply.batch()

    def loss_of(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        picture, *labels = batch
        with torch.autocast(picture.device.type, dtype=torch.bfloat16):
            said = model(picture)
        parts = losses(said, *labels)
        table.add(**{part: float(value.detach()) for part, value in parts.items()})
        return torch.stack(list(parts.values())).sum()

    average, steps = train(network, loss_of, draw_batch, pace, work / name, resume)
    assert isinstance(average, type(network))
    print(f"{name}: {steps} steps, {supply.ring.received} rows drawn, {supply.ring.served} seen", flush=True)
    device = next(average.parameters()).device
    settle(average, lambda: supply.batch()[0].to(device), SETTLE_BATCHES)
    return average


def moved(pictures: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The batch moved by up to `MOST_SHIFT` pixels each way, and its boxes (batch, items, 5) with it."""
    right, down = torch.randint(-MOST_SHIFT, MOST_SHIFT + 1, (2,)).tolist()
    side = pictures.shape[-1]
    there = (boxes[..., 2:3] > boxes[..., :1]).float()
    way = torch.tensor([right, down, right, down, 0]) / side
    return shift(pictures, right, down), boxes + way * there


def make_source(cache: Path, settings: JudgeSettings, autoencoder: Path, seed: str) -> Source:
    """The scenes to learn from; called in the process that draws."""
    world = load_world(cache)
    return Source(
        Sampler(evened(world)),
        Studio(world, cache),
        classes_of(world),
        settings.supply,
        seed,
        load_distort(autoencoder),
    )


def evened(world: World) -> World:
    """The same world with rare things less rare, so that the judge sees enough of each."""
    things = {key: replace(thing, weight=math.sqrt(thing.weight)) for key, thing in world.things.items()}
    return replace(world, things=things)


def main() -> None:
    """Train both networks, save them, and print how often they are right."""
    settings = load_judge_settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--minutes", type=float, default=settings.finder.minutes + settings.namer.minutes)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--autoencoder", type=Path, default=AUTOENCODER)
    parser.add_argument("--processes", type=int, default=1, help="how many draw scenes beside the training")
    parser.add_argument("--scenes", type=int, default=2000, help="unseen scenes to measure on")
    options = parser.parse_args()
    work = options.cache / "judge"
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)

    world = load_world(options.cache)
    namer = settings.namer
    widths = Widths(settings.finder.widths, namer.widths, namer.blocks, namer.gathered)
    judge = Judge(classes_of(world), widths, settings.reading).to("cuda" if torch.cuda.is_available() else "cpu")
    # A resumed run goes on with scenes it has not seen.
    seeds = [f"judge, {number}, {'resumed' if options.resume else 'new'}" for number in range(options.processes)]
    beside = Beside([partial(make_source, options.cache, settings, options.autoencoder, seed) for seed in seeds])
    unit = options.minutes / (settings.finder.minutes + settings.namer.minutes)

    def pace(part: FinderSettings | NamerSettings) -> Pace:
        return Pace(part.minutes * unit, part.learning_rate, WARMUP, DECAY_FROM)

    pictures = Ring(settings.supply.ring_pictures, settings.finder.reuse)
    cuts = Ring(settings.supply.ring_cuts, namer.reuse)

    def draw_for_both(count: int) -> tuple[Rows, Rows]:
        drawn = beside.draw(count)
        cuts.put(drawn[1])  # the namer begins with what the finder had drawn
        return drawn

    judge.finder = train_finder(
        judge.finder.train(), settings.finder, pictures, draw_for_both, pace(settings.finder), work, options.resume
    )
    judge.namer = train_namer(judge.namer.train(), namer, cuts, beside.draw, pace(namer), work, options.resume)
    beside.close()
    save_judge(judge, options.output)
    saved = load_judge(options.output).to(judge.device)  # the rounded weights are what is measured
    scenes = unseen_scenes(Sampler(world), options.scenes)
    print(as_table({"unseen": measure(saved, Studio(world, options.cache), scenes)}))


if __name__ == "__main__":
    main()
