"""The visible part of every sprite that a world can draw."""

from __future__ import annotations

from training.scenes.facts import load_facts
from training.scenes.layers import Pixels
from training.scenes.pieces import DRAWN, drawn
from training.scenes.world import World


def sprite_boxes(world: World) -> dict[str, Pixels]:
    """The visible part of every sprite, (left, top, right, bottom) in its pixels, by code."""
    boxes = {code: fact.box for code, fact in load_facts().items()}
    for wearable in world.wearables.values():
        if wearable.code.startswith(DRAWN):
            box = drawn(wearable.code.removeprefix(DRAWN)).getchannel("A").point(lambda a: 255 * (a > 8)).getbbox()
            assert box is not None, wearable.key
            boxes[wearable.code] = box
    return boxes
