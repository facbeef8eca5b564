"""A folder of captioned pictures: each picture with its words in a .txt of the same name, or all of them in one
`metadata.jsonl`, a line {"file_name": ..., "text": ...} for each, as Hugging Face's data sets have it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nutshell.errors import CorruptFile, UsageError
from nutshell.language import tr

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
LIST = "metadata.jsonl"
_WORDS = ("text", "caption", "prompt")


@dataclass(frozen=True)
class Example:
    """A picture and its caption."""

    picture: Path
    caption: str


def examples_in(folder: Path) -> list[Example]:
    """The captioned pictures of a folder. Raises UsageError where there are none."""
    if not folder.is_dir():
        raise UsageError(tr("there is no folder {path}", path=folder), tr("check the path"))
    listed = folder / LIST
    found = list(_listed(listed) if listed.is_file() else _beside(folder))
    if not found:
        raise UsageError(
            tr("{path} holds no captioned pictures", path=folder),
            tr("beside each picture, such as cat.png, put its caption, cat.txt"),
        )
    return found


def square_pixels(path: Path, side: int) -> npt.NDArray[np.float32]:
    """(3, side, side) within -1..1: the picture's middle square. Raises CorruptFile for what is no picture."""
    try:
        with Image.open(path) as image:
            return pixels_of(image, side)
    except (UnidentifiedImageError, OSError) as error:
        raise CorruptFile(
            tr("{path} cannot be read as a picture: {error}", path=path, error=error),
            tr("take it out of the folder, or save it anew as PNG"),
        ) from error


def pixels_of(image: Image.Image, side: int) -> npt.NDArray[np.float32]:
    """The middle square of a picture, (3, side, side) within -1..1."""
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = image.convert("RGB").crop((left, top, left + short, top + short))
    array = np.asarray(square.resize((side, side), Image.Resampling.LANCZOS), np.float32)
    return np.ascontiguousarray((array / 127.5 - 1).transpose(2, 0, 1))


def _beside(folder: Path) -> Iterator[Example]:
    for picture in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        caption = picture.with_suffix(".txt")
        if caption.is_file():
            yield Example(picture, caption.read_text(encoding="utf-8").strip())


def _listed(path: Path) -> Iterator[Example]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            picture = path.parent / row["file_name"]
            caption = next(row[key] for key in _WORDS if isinstance(row.get(key), str))
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
            raise UsageError(
                tr("line {number} of {path} names no picture with a caption", number=number, path=path),
                tr("a line is {example}", example='{"file_name": "cat.png", "text": "a cat"}'),
            ) from error
        if not picture.is_file():
            raise UsageError(
                tr("line {number} of {path} names {picture}, which is not there", number=number, path=path,
                   picture=picture.name),
                tr("check the path"),
            )  # fmt: skip
        yield Example(picture, caption.strip())
