"""Seconds of each further picture of a loaded model: python -m bench.warm MODEL THREADS PICTURES"""

from __future__ import annotations

import sys
import time

import nutshell
from bench.command import PROMPT
from bench.peers import SEED


def main() -> None:
    name, threads, pictures = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    seconds = []
    with nutshell.load(name, threads=threads) as model:
        model.generate(PROMPT, seed=SEED)
        for _ in range(pictures):
            begun = time.perf_counter()
            model.generate(PROMPT, seed=SEED)
            seconds.append(time.perf_counter() - begun)
    print(*seconds)


if __name__ == "__main__":
    main()
