"""Sentences for a scene, in English and Chinese. The choice of words is random, the meaning is not."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from training.scenes.chinese import Chinese
from training.scenes.english import English
from training.scenes.scene import Scene
from training.scenes.world import World

LANGUAGES = ("en", "zh")
PHRASES = Path(__file__).with_name("phrases.toml")
ENGLISH_SHARE = 0.6


def caption(scene: Scene, world: World, random: Random, language: str | None = None, empty_share: float = 0.12) -> str:
    """One sentence or list true of the scene, in "en", "zh" or (None) one of both; "" for guidance now and then."""
    if random.random() < empty_share:
        return ""
    if language is None:
        language = "en" if random.random() < ENGLISH_SHARE else "zh"
    return _writer(world, language).caption(scene, random)


def plain_caption(scene: Scene, world: World, language: str) -> str:
    """The plainest complete sentence, always the same."""
    return _writer(world, language).plain(scene)


def _writer(world: World, language: str) -> English | Chinese:
    if language not in LANGUAGES:
        raise ValueError(f"captions are written in {' or '.join(LANGUAGES)}, not {language!r}")
    writer = English if language == "en" else Chinese
    return writer(world, _phrases()[language == "zh"])


@cache
def _phrases() -> tuple[dict[str, Any], dict[str, Any]]:
    table = tomllib.loads(PHRASES.read_text(encoding="utf-8"))
    return table["english"], table["chinese"]
