"""A sheet of scenes with their captions, to be looked at.

python -m training.scenes.sheet OUTPUT.png [--scenes 100] [--seed 0] [--font FILE.ttf] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

from PIL import Image

from training.cache import DEFAULT_CACHE
from training.scenes.captions import caption
from training.scenes.names import load_world
from training.scenes.sampler import Sampler
from training.scenes.studio import Studio
from training.sheets import lay_out


def main() -> None:
    """Draw, caption, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--font", type=Path, help="a font with Chinese characters")
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    options = parser.parse_args()
    world = load_world(options.cache)
    sampler, studio, random = Sampler(world), Studio(world, options.cache), Random(options.seed)
    scenes = [sampler.scene(random) for _ in range(options.scenes)]
    pictures = [Image.fromarray(studio.picture(scene)) for scene in scenes]
    captions = [caption(scene, world, random, empty_share=0.0) for scene in scenes]
    lay_out(pictures, captions, options.font, columns=options.columns, lines=3).save(options.output, optimize=True)


if __name__ == "__main__":
    main()
