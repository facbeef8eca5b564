"""A worker process without an engine: the real desk, and a model that paints plain pictures.

Words in the prompt have it misbehave after the first step: die, memory, alloc, boom, engine, refuse, print, deaf.
"slow": a step takes a tenth of a second.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from nutshell.errors import EngineError, NotEnoughMemory
from nutshell.language import tr
from nutshell.pipeline import OnStep, Picture, Progress, Request
from nutshell.service.worker_process import draw_for_parent
from nutshell.service.worker_settings import DrawSettings
from nutshell.service.worker_studio import Studio
from tests.service.toy import STEPS, _painted

SLOW_SECONDS = 0.1


class ToyModel:
    """What the studio needs of a `nutshell.pipeline.Model`."""

    def __init__(self, name: str, leaner: bool) -> None:
        self.name = name
        self.leaner = leaner

    def draw(self, request: Request, on_step: OnStep) -> Iterator[Picture]:
        total, seed = request.steps or STEPS, request.seed or 0
        for place in range(request.count):
            for step in range(1, total + 1):
                time.sleep(SLOW_SECONDS if "slow" in request.prompt else 0)
                image = _painted(64, 64, seed, step / total)
                on_step(Progress(step, total, place + 1, request.count, 0.0, 0.0, lambda image=image: image))
                self._misbehave(request.prompt)
            image = _painted(request.width or 64, request.height or 64, seed + place, 1.0)
            given = {"seed": seed + place, "model": self.name, "leaner": self.leaner, "prompt": request.prompt}
            sizes = {"width": image.width, "height": image.height, "steps": total}
            yield Picture(image, seed + place, {**given, **sizes}, 0.0, 0)

    def _misbehave(self, prompt: str) -> None:
        if "print" in prompt:
            print("a library that talks")
            os.write(1, b"an engine that talks\n")
        if "die" in prompt:
            os.kill(os.getpid(), signal.SIGKILL)
        if "memory" in prompt:
            raise MemoryError
        if "alloc" in prompt:
            raise RuntimeError("std::bad_alloc")
        if "boom" in prompt:
            raise ZeroDivisionError("by nothing")
        if "engine" in prompt:
            raise EngineError(tr("the engine failed"))
        if "refuse" in prompt:
            raise NotEnoughMemory(2_000_000_000, 1_000_000_000)
        while "deaf" in prompt:
            time.sleep(0.05)

    def close(self) -> None:
        pass


def open_toy(settings: DrawSettings, name: str, leaner: bool) -> Any:
    return ToyModel(name, leaner)


if __name__ == "__main__":
    draw_for_parent(Studio(DrawSettings(), open_toy))
