"""What comes back: the picture, how it was made, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from nutshell.pipeline.parameters import save_png


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    seed: that drew it. parameters: everything needed to draw it again (prompt, steps, sampler, model,
    ...). seconds: wall time from request to picture, loading included if it happened. peak_bytes: most
    resident memory of this process meanwhile.
    """

    image: Image.Image
    seed: int
    parameters: Mapping[str, Any]
    seconds: float
    peak_bytes: int

    def save(self, path: str | Path) -> Path:
        """Write to `path` atomically; a PNG carries its parameters. Raises OutputError."""
        return save_png(self.image, self.parameters, Path(path))


@dataclass(frozen=True)
class Progress:
    """Told to `on_step` after each denoising step.

    step: 1 to total. picture: 1 to pictures. seconds: since the first step began. seconds_left: until
    the last step of the last picture, an estimate. preview: makes a small picture of the current
    guess, only when called.
    """

    step: int
    total: int
    picture: int
    pictures: int
    seconds: float
    seconds_left: float
    preview: Callable[[], Image.Image]


OnStep = Callable[[Progress], None]
