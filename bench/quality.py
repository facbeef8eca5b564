"""What a way of drawing costs in quality: the same prompts and seeds drawn otherwise, and read by the judge.

    python -m bench.quality draw '{"model": "artist", ...}'     # one way, in a process of its own
    python -m bench.quality judge FOLDER PROMPTS                # the share of them that is right

The prompts are those of `training/evaluate`; the judge needs PyTorch.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.entries import Entry, Journal
from bench.process import NotMeasured
from bench.runs import CARDS, run


@dataclass(frozen=True)
class Way:
    """How to draw. load: arguments of `nutshell.load`; request: of `Model.generate`."""

    title: str
    load: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)


def drawn_and_judged(
    journal: Journal, model: str, ways: Sequence[Way], count: int, threads: int, steps: int | None = None
) -> None:
    """A row for each way: PSNR to the pictures of the first way, and the judge's verdict on all. steps: None for the
    model's own."""
    titles = {f"{model}: pictures, {way.title}": way for way in ways}

    def measure(fresh: dict[str, Entry]) -> None:
        with tempfile.TemporaryDirectory() as out:
            first: Path | None = None
            for place, (title, way) in enumerate(titles.items()):
                folder = Path(out, str(place))
                try:
                    _one(fresh[title], way, folder, model, count, threads, steps)
                except NotMeasured as error:
                    fresh[title].reason = str(error)
                    continue
                if first is None and place == 0:
                    first = folder
                elif first is not None:
                    fresh[title].samples["psnr_db"] = psnrs(first, folder)
                    fresh[title].values |= of_errors(first, folder)

    journal.rows(titles, measure)


def psnrs(first: Path, second: Path) -> list[float]:
    """PSNR in dB of each picture of the one folder to that of the same name in the other; 99 for equal ones."""
    return [_decibels(_error(path, second / path.name)) for path in sorted(first.glob("*.png"))]


def of_errors(first: Path, second: Path) -> dict[str, float]:
    """The PSNR of all pictures together (of their mean squared error), and of the worst."""
    errors = [_error(path, second / path.name) for path in sorted(first.glob("*.png"))]
    return {"psnr_db": _decibels(float(np.mean(errors))), "least_psnr_db": _decibels(max(errors))}


def _one(entry: Entry, way: Way, folder: Path, model: str, count: int, threads: int, steps: int | None) -> None:
    folder.mkdir()
    request = {**way.request, **({"steps": steps} if steps else {})}
    given = {"model": model, "folder": str(folder), "count": count, "request": request,
             "load": {**way.load, "threads": threads, "learn": False}}  # fmt: skip
    python = [sys.executable, "-m", "bench.quality"]
    said = json.loads(run([*python, "draw", json.dumps(given)], CARDS).line)
    entry.samples["picture_seconds"] = said["seconds"]
    entry.words["drawn"] = f"{said['precision']} on {said['engine']}, {said['steps']} steps"
    try:
        entry.values["judge_percent"] = float(run([*python, "judge", str(folder), str(count)], CARDS).line)
    except NotMeasured as error:
        entry.words["judge"] = f"no judge: {error}"


def draw(model: str, folder: str, count: int, load: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Draw the prompts, each with its place for a seed, into a folder."""
    import nutshell
    from training.evaluate.prompts import load_prompts, spread

    seconds = []
    with nutshell.load(model, **load) as opened:
        for prompt in spread(load_prompts(), count):
            picture = opened.generate(prompt.text, seed=prompt.place, **request)
            picture.image.save(Path(folder, f"{prompt.place:03}.png"))
            seconds.append(picture.seconds)
    made = picture.parameters
    return {"seconds": seconds, **{name: made[name] for name in ("precision", "engine", "steps")}}


def judge(folder: Path, count: int) -> float:
    """Percent of the prompts that the judge finds answered."""
    from training.evaluate.drawing import pixels
    from training.evaluate.prompts import load_prompts, spread
    from training.evaluate.score import is_right
    from training.judge.judge import load_judge

    prompts, reader = spread(load_prompts(), count), load_judge()
    pictures = pixels({prompt.place: folder / f"{prompt.place:03}.png" for prompt in prompts})
    readings = reader.read(pictures)
    right = [is_right(prompt, reading, reader.classes) for prompt, reading in zip(prompts, readings, strict=True)]
    return 100 * sum(right) / len(right)


def _error(first: Path, second: Path) -> float:
    with Image.open(first) as one, Image.open(second) as other:
        difference = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    return float(np.mean(difference**2))


def _decibels(error: float) -> float:
    return float(10 * np.log10(255.0**2 / max(error, 255.0**2 * 10**-9.9)))


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        print(json.dumps(draw(**json.loads(sys.argv[2]))))
    else:
        print(judge(Path(sys.argv[2]), int(sys.argv[3])))
