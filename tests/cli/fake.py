"""The command line with a model that draws plain colours: python tests/cli/fake.py ARGUMENTS

FAKE_SECONDS: how long a step takes. FAKE_ERROR: what goes wrong at the third step.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from PIL import Image

from nutshell.cli.main import main
from nutshell.errors import NotEnoughMemory
from nutshell.pipeline import OnStep, Picture, Progress, Request


def go_wrong() -> None:
    kind = os.environ.get("FAKE_ERROR")
    if kind == "memory":
        raise NotEnoughMemory(3_000_000_000, 1_000_000_000, "try 384x384")
    if kind == "MemoryError":
        raise MemoryError
    if kind == "old processor":
        # NumPy's own words (npy_cpu_features.c).
        raise RuntimeError(
            "NumPy was built with baseline optimizations: \n(X86_V2) but your machine doesn't support:\n(X86_V2)."
        )
    if kind == "bug":
        raise ZeroDivisionError("a\nbug")


class FakeModel:
    """Draws as `nutshell.pipeline.Model` does, but plain colours."""

    def __init__(self, name: object, **options: Any) -> None:
        self.name = name
        self.options = options

    def draw(self, request: Request, on_step: OnStep | None = None) -> Iterator[Picture]:
        steps = request.steps or 4
        first = 1234 if request.seed is None else request.seed
        for number in range(request.count):
            image = Image.new("RGB", (request.width or 64, request.height or 64), "red")
            for step in range(1, steps + 1):
                time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
                if step == 3:
                    go_wrong()
                if on_step is not None:
                    on_step(Progress(step, steps, number + 1, request.count, 0.1, 1.0, image.copy))
            parameters = {"prompt": request.prompt, "negative_prompt": request.negative_prompt, "steps": steps}
            parameters |= {"seed": first + number, "model": str(self.name), "guidance": request.guidance}
            parameters |= {key: str(value) for key, value in self.options.items() if value}
            yield Picture(image, first + number, parameters, 0.25, 380_000_000)

    def calibration_advice(self, request: Request) -> str | None:
        return os.environ.get("FAKE_ADVICE")

    def __enter__(self) -> FakeModel:
        return self

    def __exit__(self, *_: object) -> None:
        if os.environ.get("FAKE_CLOSED"):
            print("closed", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(load=FakeModel))
