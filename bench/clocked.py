"""`nutshell generate` with a clock on its steps: `python -m bench.clocked FILE [--not-ahead] generate ...`.

The very command, but that each step's end is written to FILE, in seconds by the system's monotonic clock. With
`--not-ahead` each stage is compiled when it is needed: the command has no switch for that, and needs none.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from nutshell.cli import progress
from nutshell.cli.main import main as command


def main(words: list[str]) -> int:
    target, *words = words
    ends: list[float] = []
    told = progress.Show.step

    def step(self: progress.Show, done: Any) -> None:
        ends.append(time.monotonic())
        told(self, done)

    progress.Show.step = step  # type: ignore[method-assign]
    if words[0] == "--not-ahead":
        from nutshell.pipeline.stages import Stages

        Stages.ahead = lambda *_: None  # type: ignore[method-assign]
        words = words[1:]
    try:
        return command(words)
    finally:
        Path(target).write_text(json.dumps(ends), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
