"""A small world with art of our own: discs and boxes under the names of real sprites. The real art is not in CI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from training.scenes.art import SPRITES
from training.scenes.facts import load_facts
from training.scenes.scene import BACKGROUNDS, COLOURS
from training.scenes.wardrobe import load_anchors, load_holdables, load_wearables
from training.scenes.world import Noun, Thing, World

CODES = {"cat": "1f431", "dog": "1f436", "apple": "1f34e", "car": "1f697", "star": "2b50", "balloon": "1f388",
         "snowman": "26c4"}  # fmt: skip
RGB = {"cat": (240, 170, 60), "dog": (190, 140, 90), "apple": (220, 40, 50), "car": (200, 30, 60),
       "star": (250, 210, 60), "balloon": (230, 50, 60), "snowman": (235, 240, 250)}  # fmt: skip


def fake_world() -> World:
    """Seven things, with the real anchors and clothes of their codes."""
    anchors = load_anchors()
    things = {
        key: Thing(
            key,
            code,
            (Noun(key, f"{key}s", "an" if key == "apple" else "a"),),
            (key,),
            "个",
            "food" if key == "apple" else "animal",
            colour="red" if key == "apple" else "",
            recolours=("blue", "green") if key == "apple" else (),
            floats=key == "star",
            anchors=anchors.get(code, {}),
        )
        for key, code in CODES.items()
    }
    names = {"en": ("name",), "zh": ("名色",)}
    return World(
        things=things,
        wearables=load_wearables(),
        holdables=("balloon",),
        colours=dict.fromkeys(COLOURS, names),
        grounds=dict.fromkeys(BACKGROUNDS, names),
        grips=load_holdables(),
    )


def write_art(cache: Path, world: World) -> None:
    """A shaded ellipse in every sprite's real box, where the fetched art would lie."""
    folder = cache / SPRITES
    folder.mkdir(parents=True)
    facts = load_facts()
    colours = {CODES[key]: rgb for key, rgb in RGB.items()}
    codes = [thing.code for thing in world.things.values()] + [
        piece.code for piece in world.wearables.values() if ":" not in piece.code
    ]
    y, x = np.mgrid[0:256, 0:256] + 0.5
    for code in codes:
        left, top, right, bottom = facts[code].box
        away = ((x - (left + right) / 2) * 2 / (right - left)) ** 2 + (
            (y - (top + bottom) / 2) * 2 / (bottom - top)
        ) ** 2
        light = 1.1 - 0.4 * np.clip(away, 0, 1)
        rgb = np.clip(np.array(colours.get(code, (60, 60, 70))) * light[..., None], 0, 255)
        sprite = np.dstack([rgb, np.clip((1 - away) * 40, 0, 1) * 255]).astype(np.uint8)
        Image.fromarray(sprite, "RGBA").save(folder / f"{code}.webp", lossless=True)
