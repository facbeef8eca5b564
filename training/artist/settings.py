"""The recipe's numbers, read from `recipes/` into frozen dataclasses."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from nutshell.compress.shapes import UNetShape
from training.scenes.settings import SceneSettings, load_scene_settings

RECIPES = Path(__file__).parent / "recipes"
WHOLE = "gpu"


@dataclass(frozen=True)
class WorldSettings:
    """What can be drawn."""

    things: tuple[str, ...]


@dataclass(frozen=True)
class LatentSettings:
    """How many scenes are drawn and encoded beforehand."""

    scenes: int
    held_scenes: int


@dataclass(frozen=True)
class TextSettings:
    """Size of the CLIP text encoder and of its vocabulary, and how it is taught before the UNet."""

    layers: int
    width: int
    heads: int
    max_length: int
    max_english_merges: int
    captions: int
    batch: int
    learning_rate: float
    warmup: float
    decay_from: float
    minutes: float


UNetSettings = UNetShape
"""Widths of a UNet, which `nutshell compress prune` shares; recipes have one size of head for all levels."""


@dataclass(frozen=True)
class TeacherTraining:
    """Losses, rates and time of the teacher; see the comments in `recipes/gpu.toml`."""

    batch: int
    learning_rate: float
    text_rate: float
    warmup: float
    decay_from: float
    minutes: float
    ema: float
    snr_cap: float
    empty_caption: float
    noisy_share: float
    pure_noise_share: float
    layout_weight: float
    simple_until: float


@dataclass(frozen=True)
class StudentTraining:
    """Losses, rates and time of the student; see the comments in `recipes/gpu.toml`."""

    batch: int
    learning_rate: float
    warmup: float
    decay_from: float
    minutes: float
    ema: float
    snr_cap: float
    empty_caption: float
    noisy_share: float
    pure_noise_share: float
    output_weight: float
    feature_weight: float
    data_weight: float
    importance_batches: int


@dataclass(frozen=True)
class TurboTraining:
    """How the guided artist is run and distilled into few steps; see the comments in `recipes/gpu.toml`."""

    steps: int
    source_steps: int
    guidance: float
    runs: int
    batch: int
    whole_from: float
    whole_batch: int
    learning_rate: float
    warmup: float
    decay_from: float
    minutes: float
    ema: float
    empty_caption: float


@dataclass(frozen=True)
class Recipe:
    """The whole recipe."""

    name: str
    world: WorldSettings
    scenes: SceneSettings
    latents: LatentSettings
    text: TextSettings
    teacher: UNetSettings
    teacher_training: TeacherTraining
    student: UNetSettings
    student_training: StudentTraining
    turbo: TurboTraining


def load_recipe(name: str, folder: Path = RECIPES) -> Recipe:
    """Read `name`.toml over the rows of the recipe that it names as `over`, at last over `gpu.toml`, which has all.

    A missing or unknown row is a `TypeError` that names it.
    """
    table = _rows(name, folder)
    changes = table.pop("scenes")
    parts: dict[str, Any] = {"name": name, "scenes": changed_scenes(load_scene_settings(), changes)}
    kinds = {"world": WorldSettings, "latents": LatentSettings, "text": TextSettings, "teacher": UNetSettings,
             "teacher_training": TeacherTraining, "student": UNetSettings,
             "student_training": StudentTraining, "turbo": TurboTraining}  # fmt: skip
    for key, rows in table.items():
        if key not in kinds:
            raise TypeError(f"{name}.toml has a table [{key}] that nobody reads")
        parts[key] = kinds[key](**{row: tuple(v) if isinstance(v, list) else v for row, v in rows.items()})
    return Recipe(**parts)


def _rows(name: str, folder: Path) -> dict[str, Any]:
    table = _read(folder / f"{name}.toml")
    if name == WHOLE:
        return table
    return merged(_rows(table.pop("over", WHOLE), folder), table)


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the rows of `change` in place of its own, table by table."""
    result = dict(base)
    for key, value in change.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def changed_scenes(scenes: SceneSettings, changes: Mapping[str, Any]) -> SceneSettings:
    """Scene settings with some rows, or some entries of a table, replaced."""
    known = {field.name for field in fields(SceneSettings)}
    if unknown := set(changes) - known:
        raise TypeError(f"[scenes] has rows that nobody reads: {', '.join(sorted(unknown))}")
    new = {key: merged(getattr(scenes, key), v) if isinstance(v, Mapping) else v for key, v in changes.items()}
    if "sides" in new:
        new["sides"] = {size: tuple(pair) for size, pair in new["sides"].items()}
    return replace(scenes, **new)


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
