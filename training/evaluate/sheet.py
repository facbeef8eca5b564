"""Sixty-four prompts for people to look at, chosen by hand: `sheet.txt`, one a line, `""` for the empty one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from training.sheets import lay_out

LIST = Path(__file__).with_name("sheet.txt")
COLUMNS = 8
CELL_PIXELS = 160
QUALITY = 90


def load_sheet(path: Path = LIST) -> list[str]:
    """The prompts; the place of each is its seed."""
    return ["" if line == '""' else line for line in path.read_text(encoding="utf-8").splitlines()]


def save_sheet(prompts: Sequence[str], files: Mapping[int, Path], font: Path | None, path: Path) -> None:
    """Lay the pictures of the prompts, by seed, in rows with captions; `font` should hold Chinese characters."""
    pictures = [Image.open(files[seed]).convert("RGB") for seed in range(len(prompts))]
    captions = [prompt or "(empty)" for prompt in prompts]
    sheet = lay_out(pictures, captions, font, COLUMNS, CELL_PIXELS, lines=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=QUALITY)
