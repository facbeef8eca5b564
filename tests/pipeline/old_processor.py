"""A program: the built-in artist through an engine, from words and from a picture, into two files.

python old_processor.py openvino FIRST.png SECOND.png           with OpenVINO held to an older instruction set
python old_processor.py onnx FIRST.png SECOND.png sse41         with an older processor shown to all of the process
"""

from __future__ import annotations

import sys


def main(engine: str, first: str, second: str) -> None:
    # Only now: libraries look at the processor when they are loaded.
    import numpy as np
    from PIL import Image

    import nutshell

    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    with nutshell.load("artist-turbo", engine=engine, precision="f32", learn=False, threads=1) as model:
        drawn = model.generate("a red apple", width=128, height=128, steps=4, seed=3)
        drawn.save(first)
        # This way the encoder runs too.
        changed = model.generate("a pear", image=Image.fromarray(noise), strength=0.5, steps=4, seed=3)
        changed.save(second)


def shown_older(engine: str, first: str, second: str, name: str) -> int:
    """In a process that CPUID shows an older processor."""
    from bench.cpuid import run_hidden
    from bench.older_sets import SETS

    hidden = next(older.hidden for older in SETS if older.name == name)
    return run_hidden(lambda: main(engine, first, second), hidden)


if __name__ == "__main__":
    sys.exit(shown_older(*sys.argv[1:]) if len(sys.argv) > 4 else main(*sys.argv[1:]))
