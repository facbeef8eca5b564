"""Draw prompts with a contender, each with its own seed; pictures that are there already are not drawn again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from training.evaluate.contender import Contender

JUDGED_PIXELS = 256


class Artist(Protocol):
    """The part of `nutshell.Model` that is used here."""

    def generate(self, prompt: str, **request: Any) -> Any: ...

    def close(self) -> None: ...


def draw(
    contender: Contender, texts: Mapping[int, str], output: Path, load: Callable[[Contender], Artist]
) -> dict[int, Path]:
    """The pictures' files, by seed; `texts` are prompts by seed.

    The model is loaded if a picture is missing. Files are written whole or not at all, so an interrupted run goes on
    where it stopped.
    """
    folder = output / contender.folder_name()
    folder.mkdir(parents=True, exist_ok=True)
    files = {seed: folder / file_name(seed, text) for seed, text in texts.items()}
    missing = {seed: file for seed, file in files.items() if not file.is_file()}
    if missing:
        artist = load(contender)
        try:
            for seed, file in tqdm(missing.items(), contender.label, mininterval=10):
                artist.generate(texts[seed], seed=seed, **contender.request).save(file)
        finally:
            artist.close()
    return files


def file_name(seed: int, text: str) -> str:
    """The name of a prompt's picture; another text makes another file."""
    return f"{seed:03}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.png"


def pixels(files: Mapping[int, Path]) -> NDArray[np.uint8]:
    """The pictures as the judge takes them, in the order of their seeds: uint8 (n, 3, 256, 256)."""
    return np.stack([_pixels(files[seed]) for seed in sorted(files)])


def _pixels(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    if picture.size != (JUDGED_PIXELS, JUDGED_PIXELS):
        picture = picture.resize((JUDGED_PIXELS, JUDGED_PIXELS), Image.Resampling.BOX)
    return np.asarray(picture, np.uint8).transpose(2, 0, 1)
