"""A program: the built-in artist through OpenVINO, from words and from a picture, into two files.

    python old_processor.py FIRST.png SECOND.png

Run with OpenVINO held to an older instruction set.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import nutshell


def main(first: str, second: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    with nutshell.load("artist", engine="openvino", precision="f32", learn=False, threads=1) as model:
        drawn = model.generate("a red apple on a table", width=128, height=128, steps=3, seed=3)
        drawn.save(first)
        # This way the encoder runs too.
        changed = model.generate("a pear", image=Image.fromarray(noise), strength=0.5, steps=3, seed=3)
        changed.save(second)


if __name__ == "__main__":
    main(*sys.argv[1:])
