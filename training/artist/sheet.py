"""Draw a fixed list of prompts with diffusers and lay the pictures out on one sheet.

python -m training.artist.sheet MODEL_FOLDER OUTPUT.png [--font FILE.ttf]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from training.artist.settings import HERE
from training.sheets import lay_out

STEPS = 20
GUIDANCE = 2.0
COLUMNS = 8


def read_prompts(path: Path = HERE / "prompts.txt") -> list[str]:
    """One prompt a line; a line of `""` is the empty prompt."""
    return ["" if line == '""' else line for line in path.read_text(encoding="utf-8").splitlines()]


def draw_prompts(folder: Path, prompts: list[str], steps: int, guidance: float, seed: int) -> list[Image.Image]:
    """One picture a prompt, each from its own seed: `seed`, `seed + 1`, ..."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pictures = []
    for start in range(0, len(prompts), COLUMNS):
        row = prompts[start : start + COLUMNS]
        generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(row))]
        drawn = pipeline(
            row, num_inference_steps=steps, guidance_scale=guidance, generator=generators, height=256, width=256
        )
        pictures += drawn.images
    return pictures


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, help="a font with Chinese characters, for the captions")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, help="only the first N prompts")
    options = parser.parse_args()
    prompts = read_prompts()[: options.first]
    pictures = draw_prompts(options.model, prompts, options.steps, options.guidance, options.seed)
    lay_out(pictures, [prompt or "(empty)" for prompt in prompts], options.font, COLUMNS).save(options.output)


if __name__ == "__main__":
    main()
