"""The recipe's numbers, read from `judge.toml` into frozen dataclasses."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WEIGHTS = HERE / "weights"


@dataclass(frozen=True)
class FinderSettings:
    """Widths and training of the finder."""

    widths: tuple[int, int, int, int]
    batch: int
    learning_rate: float
    minutes: float
    reuse: float


@dataclass(frozen=True)
class NamerSettings:
    """Widths and training of the namer."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    gathered: int
    batch: int
    learning_rate: float
    smoothing: float
    minutes: float
    reuse: float


@dataclass(frozen=True)
class SupplySettings:
    """What the networks are shown; shares are of all pictures."""

    ring_pictures: int
    ring_cuts: int
    noise: float
    empty: float
    nothing: float
    autoencoded: float


@dataclass(frozen=True)
class ReadingSettings:
    """From which chance on something counts as seen."""

    heat: float
    sure: float
    worn: float
    most: int


@dataclass(frozen=True)
class JudgeSettings:
    """The whole recipe. `scenes` replaces rows of `SceneSettings` in the scenes to learn from."""

    finder: FinderSettings
    namer: NamerSettings
    supply: SupplySettings
    reading: ReadingSettings
    scenes: dict[str, dict[str, float]]


def load_judge_settings(path: Path = HERE / "judge.toml") -> JudgeSettings:
    """Read the recipe; a missing or unknown row is a `TypeError` that names it."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Any]] = {
        name: {key: tuple(value) if isinstance(value, list) else value for key, value in part.items()}
        for name, part in table.items()
    }
    return JudgeSettings(
        finder=FinderSettings(**rows["finder"]),
        namer=NamerSettings(**rows["namer"]),
        supply=SupplySettings(**rows["supply"]),
        reading=ReadingSettings(**rows["reading"]),
        scenes=rows["scenes"],
    )
