"""Asked scenes made whole, so that they can be drawn: the details that a prompt leaves open are drawn by lot.

They are drawn by the recipe's weights, as they would be in a training picture with such a caption: its size, place
and pose, and where no background is said, one that goes unsaid (nearly always white).
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from training.scenes.sampler import Sampler
from training.scenes.saying import says_ground
from training.scenes.scene import Background, Item, Scene

TRIES = 20


def complete(scene: Scene, sampler: Sampler, random: Random) -> Scene:
    """The scene with everything in its place. Raises `ValueError` where the relation fits no two such shapes."""
    items = [_posed(item, sampler, random) for item in scene.items]
    background = _ground(scene.background, sampler, random)
    placer = sampler.placer
    if len(items) == 1:
        return Scene((placer.one(items[0], random),), background)
    if not scene.relation:
        return Scene(tuple(placer.several(items, random)), background)
    for _ in range(TRIES):
        if placed := placer.related(items[scene.subject], items[1 - scene.subject], scene.relation, random):
            # The first one is drawn last, on top.
            return Scene((placed[1], placed[0]), background, scene.relation, subject=1)
    raise ValueError(f"{items[0].thing} cannot be placed {scene.relation} {items[1].thing}")


def _posed(item: Item, sampler: Sampler, random: Random) -> Item:
    posed = sampler.item(sampler.world.things[item.thing], random, dressed=False)
    return replace(posed, colour=item.colour, wearing=item.wearing)


def _ground(asked: Background, sampler: Sampler, random: Random) -> Background:
    drawn = sampler.background(random)
    if asked.kind:
        return replace(asked, variant=drawn.variant)
    while says_ground(Scene((), drawn), random):
        drawn = sampler.background(random)
    return drawn
