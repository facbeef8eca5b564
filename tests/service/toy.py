"""A worker without an engine: it paints plain pictures, in as many steps as are asked for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from nutshell.errors import Cancelled
from nutshell.language import tr
from nutshell.pipeline.parameters import encoded
from nutshell.service.models import shown_name
from nutshell.service.wish import Wish
from nutshell.service.worker import Drawn, Loading, Step, Told

STEPS = 4


@dataclass
class ToyWorker:
    """step_seconds: how long a step takes. faults: raised by the next draws, one each, after the first step.

    drawn: every wish that was begun, with `leaner`.
    """

    step_seconds: float = 0.0
    faults: list[Exception] = field(default_factory=list)
    drawn: list[tuple[Wish, bool]] = field(default_factory=list)
    loaded: str | None = None
    memory_bytes: int = 0
    closed: bool = False
    _cancelled: bool = False

    async def draw(self, wish: Wish, tell: Callable[[Told], None], *, leaner: bool = False) -> None:
        self.drawn.append((wish, leaner))
        self._cancelled = False
        if self.loaded != wish.model:
            tell(Loading(wish.model))
            await asyncio.sleep(self.step_seconds)
            self.loaded, self.memory_bytes = wish.model, 100_000_000
        total, seed = wish.steps or STEPS, wish.seed or 0
        for place in range(wish.count):
            for step in range(1, total + 1):
                await asyncio.sleep(self.step_seconds)
                if self._cancelled:
                    raise Cancelled(tr("stopped"))
                left = (total * (wish.count - place) - step) * self.step_seconds
                tell(Step(step, total, place + 1, wish.count, left, _preview(step / total) if wish.previews else b""))
                if self.faults:
                    raise self.faults.pop(0)
            image = _painted(wish.width or 256, wish.height or 256, seed + place, 1.0)
            parameters = {
                "prompt": wish.prompt, "negative_prompt": wish.negative_prompt, "steps": total, "sampler": "DDIM",
                "guidance": wish.guidance or 1.0, "seed": seed + place, "width": image.width, "height": image.height,
                "model": shown_name(wish.model),
            }  # fmt: skip
            tell(Drawn(place + 1, encoded(image, parameters), parameters))

    def cancel(self) -> None:
        self._cancelled = True

    async def unload(self) -> None:
        self.loaded, self.memory_bytes = None, 0

    async def close(self, grace_seconds: float = 10.0) -> None:
        self.cancel()
        self.closed = True


def _painted(width: int, height: int, seed: int, share: float) -> Image.Image:
    colour = tuple(round(share * (seed * step % 256)) for step in (37, 91, 173))
    return Image.new("RGB", (width, height), colour)


def _preview(share: float) -> bytes:
    file = io.BytesIO()
    _painted(64, 64, 123, share).save(file, "JPEG")
    return file.getvalue()
