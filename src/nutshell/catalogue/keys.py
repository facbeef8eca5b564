"""Every key of a card, one row each: what it may be, how it is read, what it means.

The rows check cards, and `docs/reference/cards.md` is made from them:
python -m nutshell.catalogue.reference > docs/reference/cards.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from nutshell.catalogue.source import Source
from nutshell.language import Text, tr

KINDS = ("text-to-image", "autoencoder", "lora", "controlnet", "embedding")
PREDICTIONS = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class Key:
    """One key. words: complete the sentence "width must be ...". read: raises ValueError where they are not met;
    its own words are shown if it has any."""

    name: str
    words: Text
    read: Callable[[Any], Any]
    meaning: Text


def _text(value: Any) -> str:
    if not isinstance(value, str) or any(not char.isprintable() for char in value):
        raise ValueError
    return value


def _words(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError
    return str(value)


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError
    return value


def _pixels(value: Any) -> int:
    if _count(value) % 8:
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1000:
        raise ValueError
    return float(value)


def _one_of(*names: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return read


def _table(read: Callable[[Any], Any]) -> Callable[[Any], Mapping[str, Any]]:
    def read_all(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError
        return {_words(name): read(item) for name, item in value.items()}

    return read_all


def _facts(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError
    # TOML has no null: "" stands for it, as in mid_block_type = "".
    return {key: None if item == "" else item for key, item in value.items()}


def _sources(value: Any) -> tuple[Source, ...]:
    if not isinstance(value, list):
        raise ValueError
    return tuple(Source.read(item) for item in value)


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    for pattern in value:
        path = PurePosixPath(_words(pattern))
        if path.is_absolute() or ".." in path.parts or re.search(r'[\\:<>"|]', pattern):
            raise ValueError
    return tuple(value)


def _colours(value: Any) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list):
        raise ValueError
    rows = tuple(tuple(float(item) for item in row) for row in value)
    if any(len(row) != 3 for row in rows):
        raise ValueError(tr("each row of preview has three colours"))
    return rows


KEYS: tuple[Key, ...] = (
    Key("title", tr("a line of text"), _words, tr("what it is, for people; required")),
    Key("licence", tr("a line of text"), _words, tr("SPDX id, or the model licence's own name; required")),
    Key(
        "commercial", tr("true or false"), _yes_no, tr("whether its licence allows commercial use; left out if unclear")
    ),
    Key("kind", tr("one of {names}", names=", ".join(KINDS)), _one_of(*KINDS), tr("what it is for")),
    Key("architecture", tr("a line of text"), _text, tr("family of its networks (sd1, sd2, sdxl, ...); for people")),
    Key("runnable", tr("a line of text"), _text, tr('why this version cannot run it; "" if it can')),
    Key("parameters", tr("a table of part = count"), _table(_count), tr("numbers in each part")),
    Key("download_bytes", tr("a whole number above 0"), _count, tr("size of the files; left out if unknown")),
    Key("sources", tr("a list of hub and repo"), _sources, tr("repositories that hold it, preferred first")),
    Key(
        "files",
        tr("a list of relative patterns"),
        _patterns,
        tr("which files of the repository it needs; empty: the usual diffusers layout with safetensors"),
    ),
    Key("path", tr("a path"), _words, tr("a file or folder on this machine, relative to the card's own folder")),
    Key("folder", tr("a name"), _words, tr("of a built-in model: its folder below `nutshell/builtin`")),
    Key(
        "base", tr("a card's name"), _text, tr("the model whose parts it shares, those that are not in its own folder")
    ),
    Key("vae", tr("a card's name"), _text, tr("a tiny autoencoder that suits it")),
    Key("width", tr("a multiple of 8 above 0"), _pixels, tr("native width in pixels")),
    Key("height", tr("a multiple of 8 above 0"), _pixels, tr("native height in pixels")),
    Key("steps", tr("a whole number above 0"), _count, tr("denoising steps that suit it")),
    Key("guidance", tr("a number from 0 to 1000"), _number, tr("guidance that suits it; 1 is off")),
    Key("sampler", tr("a sampler's name"), _words, tr("sampler that suits it")),
    Key("schedule", tr("a schedule's name"), _words, tr("curve of the noise levels that suits it")),
    Key("spacing", tr("a spacing's name"), _words, tr("which timesteps are visited")),
    Key(
        "prediction", tr("one of {names}", names=", ".join(PREDICTIONS)), _one_of(*PREDICTIONS), tr("what it predicts")
    ),
    Key(
        "preview",
        tr("a list of rows of three numbers"),
        _colours,
        tr("latent cell to mean colour: (red, green, blue) in 0..1 for each latent channel, and the offset"),
    ),
    Key(
        "shapes",
        tr("a table of part = configuration"),
        _table(_facts),
        tr("sizes of each network before anything is fetched, with the keys of its config.json"),
    ),
)
BY_NAME: dict[str, Key] = {row.name: row for row in KEYS}
