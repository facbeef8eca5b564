"""What the judge of `training/judge` says of two models' pictures; only where the repository is at hand, for its world.

The judge knows the things that the built-in models draw. It is no part of the package: where `training` cannot be
imported, and lies neither beside the source nor in the current folder, nothing is judged, and the report says so.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nutshell.language import Text, tr

_NOT_ASKED = tr("nothing was judged: ask with --judge N")
_ABSENT = tr("nothing was judged: the folder `training` of the repository and PyTorch are needed ({error})")
_ASKED = tr("")


@dataclass(frozen=True)
class Judged:
    """accuracy: percent of the prompts that were answered rightly, of `prompts`. frechet: the distance of the second
    model's pictures from the first's in the judge's features; None for the first, and for fewer than 100 pictures."""

    accuracy: float
    prompts: int
    frechet: float | None = None


def pick_prompts(count: int) -> tuple[Sequence[Any], Text]:
    """So many of the evaluation's prompts, and why there are none."""
    if count < 1:
        return [], _NOT_ASKED
    try:
        with _repository():
            prompts = importlib.import_module("training.evaluate.prompts")
            importlib.import_module("training.evaluate.measure")
            importlib.import_module("training.judge.judge")
    except ImportError as error:
        return [], tr(_ABSENT.template, error=error)
    found: Sequence[Any] = prompts.spread(prompts.load_prompts(), count)
    return found, _ASKED


def judged(prompts: Sequence[Any], pictures: Sequence[Sequence[Image.Image]]) -> tuple[Judged, Judged]:
    """Both models' pictures of these prompts. The pictures are seen at 256 pixels, as the judge was taught."""
    measure = importlib.import_module("training.evaluate.measure")
    judge = importlib.import_module("training.judge.judge").load_judge()
    first, second = (_pixels(drawn) for drawn in pictures)
    spread = measure.spread_at_best(first, judge)
    one, other = (measure.measure(prompts, pixels, judge, spread) for pixels in (first, second))
    return (
        Judged(one.scores["overall"].percent, len(prompts)),
        Judged(other.scores["overall"].percent, len(prompts), other.frechet),
    )


@contextlib.contextmanager
def _repository() -> Iterator[None]:
    """With the repository's folder among those that are searched, the last of them, where it is not there anyway."""
    folders = (Path(__file__).parents[3], Path.cwd())
    found = [str(folder) for folder in folders if (folder / "training" / "judge" / "judge.py").is_file()]
    before = list(sys.path)
    sys.path += found[:1]
    try:
        yield
    finally:
        sys.path[:] = before


def _pixels(drawn: Sequence[Image.Image]) -> Any:
    """uint8 (n, 3, 256, 256)."""
    sized = [np.asarray(image.resize((256, 256), Image.Resampling.LANCZOS)) for image in drawn]
    return np.ascontiguousarray(np.stack(sized).transpose(0, 3, 1, 2))
