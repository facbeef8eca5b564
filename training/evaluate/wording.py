"""Texts that say exactly what is asked: the captions of the training, less those that leave something out or add to it.

Captions now and then say "a cat and a dog" of a cat left of a dog, or leave the background out; such a caption is
drawn anew.
"""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from training.evaluate.prompts import NOTHING_ASKED
from training.scenes.captions import caption, plain_caption
from training.scenes.scene import Background, Scene
from training.scenes.world import World

UNSAID = Background("plain", ("white",))
"""What captions mean, mostly, where they say no background: then a plain caption's ending has to go."""

PLAIN_ENDING = {"en": " on a white background", "zh": "，白色背景"}
SAYS_WHITE = {"en": r"\b(white|blank)\b", "zh": "白"}

_SIDES = {"en": r"\b(left|right)\b", "zh": "[左右]"}
_LEVELS = {"en": r"\b(above|below|over|under|underneath|top)\b", "zh": "[上下]"}
SAYS_RELATION = {
    "left of": _SIDES,
    "right of": _SIDES,
    "above": _LEVELS,
    "below": _LEVELS,
    "on": {"en": r"\bon\b", "zh": "上"},
    "next to": {"en": r"\b(next to|beside|by|side by side)\b", "zh": "旁边|并排"},
}
SAYS_GROUND = {
    "plain": {"en": r"\b(background|backdrop|plain)\b", "zh": "背景|底"},
    "gradient": {"en": r"\bgradient\b", "zh": "渐变"},
    "sky": {"en": r"\bsky\b", "zh": "天空"},
    "grass": {"en": r"\b(grass|grassy|meadow|lawn)\b", "zh": "草地|草坪"},
    "sea": {"en": r"\b(sea|seaside|ocean)\b", "zh": "大海|海边"},
    "night": {"en": r"\b(night|starry|stars)\b", "zh": "夜空|星空|夜晚"},
    "snow": {"en": r"\b(snow|snowy)\b", "zh": "雪地|雪中"},
    "sunset": {"en": r"\bsunset\b", "zh": "日落|夕阳|晚霞"},
}
TRIES = 200


def word(scene: Scene, world: World, random: Random, language: str, wording: str) -> str:
    """A text for an asked scene, "plain" or "varied".

    Raises `ValueError` where no caption says all of it.
    """
    silent = scene.background == NOTHING_ASKED
    full = replace(scene, background=UNSAID) if silent else scene
    if wording == "plain":
        text = plain_caption(full, world, language)
        if silent and not text.endswith(PLAIN_ENDING[language]):
            raise ValueError(f"a plain caption ends otherwise than {PLAIN_ENDING[language]!r}: {text!r}")
        return text.removesuffix(PLAIN_ENDING[language]) if silent else text
    for _ in range(TRIES):
        text = caption(full, world, random, language, empty_share=0.0)
        if says_it(text, scene, language):
            return text
    raise ValueError(f"no caption says all of {scene}")


def says_it(text: str, scene: Scene, language: str) -> bool:
    """Whether a caption says the scene's relation and background where they are asked, and no background else."""
    ground = scene.background
    if ground == NOTHING_ASKED:
        if re.search(SAYS_WHITE[language], text):
            return False
    elif not re.search(SAYS_GROUND[ground.kind][language], text):
        return False
    return not scene.relation or bool(re.search(SAYS_RELATION[scene.relation][language], text))
