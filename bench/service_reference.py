"""The same model called in process: draws as many pictures as each line that it reads says, answers in seconds.

python -m bench.service_reference MODEL THREADS STEPS
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nutshell
from bench.command import PROMPT


def main() -> None:
    name, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) or None
    seed = 0
    with tempfile.TemporaryDirectory() as folder, nutshell.load(name, threads=threads, learn=False) as model:
        for line in sys.stdin:
            begun = time.perf_counter()
            for _ in range(int(line)):
                seed += 1
                # To a file on the disk, as the service keeps it too.
                model.generate(PROMPT, seed=seed, steps=steps).save(Path(folder, f"{seed}.png"))
            print(time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    main()
