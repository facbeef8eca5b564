"""Every sprite that a world can draw: its number, its picture, its visible part."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from training.scenes.art import open_sprite
from training.scenes.facts import load_facts
from training.scenes.layers import Pixels
from training.scenes.pieces import DRAWN, drawn
from training.scenes.world import World


def sprite_numbers(world: World) -> dict[str, int]:
    """A number for every code, the same in every process."""
    codes = [thing.code for thing in world.things.values()] + [piece.code for piece in world.wearables.values()]
    return {code: number for number, code in enumerate(dict.fromkeys(codes))}


def open_piece(cache: Path, code: str) -> Image.Image:
    """A sprite from the fetched art, or a piece that we draw ourselves: RGBA, 256x256."""
    return drawn(code.removeprefix(DRAWN)) if code.startswith(DRAWN) else open_sprite(cache, code)


def sprite_boxes(world: World) -> dict[str, Pixels]:
    """The visible part of every sprite, (left, top, right, bottom) in its pixels, by code."""
    boxes = {code: fact.box for code, fact in load_facts().items()}
    for wearable in world.wearables.values():
        if wearable.code.startswith(DRAWN):
            box = drawn(wearable.code.removeprefix(DRAWN)).getchannel("A").point(lambda a: 255 * (a > 8)).getbbox()
            assert box is not None, wearable.key
            boxes[wearable.code] = box
    return boxes
