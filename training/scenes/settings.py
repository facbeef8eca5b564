"""The numbers of `scenes.toml` as a frozen dataclass."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class SceneSettings:
    """See the comments in `scenes.toml`; lengths are shares of the picture's side."""

    picture_pixels: int
    margin: float
    sides: dict[str, tuple[float, float]]
    limits: dict[str, float]
    kinds: dict[str, float]
    sizes: dict[str, float]
    grounds: dict[str, float]
    relations: dict[str, float]
    styles: dict[str, float]
    shares: dict[str, float]
    placing: dict[str, float]


def load_scene_settings(path: Path = HERE / "scenes.toml") -> SceneSettings:
    """Read the table; a missing or unknown row is a `TypeError` that names it."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    table["sides"] = {name: tuple(pair) for name, pair in table["sides"].items()}
    return SceneSettings(**table)
