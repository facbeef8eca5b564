"""What a caption says and what it leaves out, the same in every language. Shares are of the captions that could."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from training.scenes.scene import Item, Scene
from training.scenes.world import Thing

PLAIN_NAME_SHARE = 0.55
SAY_SIZE_SHARE = 0.92
SAY_OWN_COLOUR_SHARE = 0.18
SAY_WHITE_SHARE = 0.2
SAY_GROUND_SHARE = 0.95
AND_SHARE = 0.2


def is_grey(scene: Scene) -> bool:
    """Whether colours cannot be seen."""
    return scene.style == "black and white"


def says_ground(scene: Scene, random: Random) -> bool:
    """Whether the background is said: nearly always, but white paper seldom."""
    if scene.background.kind == "plain":
        if is_grey(scene):
            return False
        if scene.background.colours == ("white",):
            return random.random() < SAY_WHITE_SHARE
    return random.random() < SAY_GROUND_SHARE


def size_word(item: Item, count: int, scene: Scene, words: Mapping[str, Sequence[str]], random: Random) -> str:
    """A word for the size of an item, or of `count` equal ones; "" where it is middling, or differs among them."""
    if item.size not in words or random.random() > SAY_SIZE_SHARE:
        return ""
    return "" if any(other.size != item.size for other in scene.items[:count]) else random.choice(words[item.size])


def said_colour(item: Item, thing: Thing, scene: Scene, random: Random) -> str:
    """The colour to be said: one that was changed always, a thing's own now and then, none where all is grey."""
    own = thing.colour if random.random() < SAY_OWN_COLOUR_SHARE else ""
    return "" if is_grey(scene) else item.colour or own
