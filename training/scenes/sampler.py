"""Draw scenes by lot, by the weights of `scenes.toml`, never one with a held-out combination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from random import Random
from typing import TypeVar

from training.scenes.held_out import combinations_of, load_held_out
from training.scenes.palette import PLAIN
from training.scenes.placing import Placer
from training.scenes.scene import Background, Item, Scene
from training.scenes.settings import SceneSettings, load_scene_settings
from training.scenes.sprites import sprite_boxes
from training.scenes.world import Thing, World

UNMIRRORED = ("symbol",)
DRESSED_PIECES = {1: 0.72, 2: 0.24, 3: 0.04}
ONE_SMALL = 0.2  # of the related pairs, one of which is called small or tiny

T = TypeVar("T")


class Sampler:
    """Scenes of a world; the same for the same `Random`. `held_out` is `held_out.txt` unless given."""

    def __init__(
        self, world: World, settings: SceneSettings | None = None, held_out: frozenset[str] | None = None
    ) -> None:
        self.world = world
        self.settings = settings or load_scene_settings()
        self.held_out = load_held_out() if held_out is None else held_out
        self.placer = Placer(world, sprite_boxes(world), self.settings)
        self._everything = Lot({key: thing.weight for key, thing in world.things.items()})
        self._dressable = Lot({key: thing.weight for key, thing in world.things.items() if thing.anchors})

    def scene(self, random: Random) -> Scene:
        """One scene."""
        while True:
            scene = self._draw(random)
            if scene is not None and not (combinations_of(scene) & self.held_out):
                return scene

    def _draw(self, random: Random) -> Scene | None:
        kind = weighted(self.settings.kinds, random)
        background = self.background(random)
        style = weighted(self.settings.styles, random)
        if kind == "one":
            item = self.item(self._thing(random), random, weighted(self.settings.sizes, random))
            if style == "pixel art" and item.size in ("tiny", "small"):
                return None
            return Scene((self.placer.one(item, random),), background, style=style)
        if style == "pixel art":
            return None  # too coarse for more than one thing
        if kind == "several":
            item = self.item(self._thing(random), random, dressed=random.random() < 0.3)
            items = [replace(item, mirrored=self._mirrored(item.thing, random)) for _ in range(random.randint(2, 4))]
            return Scene(tuple(self.placer.several(items, random)), background, style=style)
        things = self._different(2 if kind == "two" else 3, random)
        items = [self.item(thing, random) for thing in things]
        if kind == "three" or random.random() > self.settings.shares["related"]:
            return Scene(tuple(self.placer.several(items, random)), background, style=style)
        return self._related(items[0], items[1], background, style, random)

    def _related(self, first: Item, second: Item, background: Background, style: str, random: Random) -> Scene | None:
        relation = weighted(self.settings.relations, random)
        if relation not in ("on", "in front of") and random.random() < ONE_SMALL:
            first = replace(first, size=random.choice(("small", "tiny")))
        placed = self.placer.related(first, second, relation, random)
        if placed is None:
            return None
        # The first one is drawn last, on top.
        return Scene((placed[1], placed[0]), background, relation, subject=1, style=style)

    def item(self, thing: Thing, random: Random, size: str = "medium", dressed: bool = True) -> Item:
        """An item not yet placed: its colour, clothes and pose by lot."""
        shares = self.settings.shares
        colour = ""
        if thing.recolours and random.random() < shares["recoloured"]:
            colour = random.choice(thing.recolours)
        wearing: tuple[str, ...] = ()
        holding = ""
        if dressed and size != "tiny" and thing.anchors:
            if random.random() < shares["dressed"]:
                wearing = self._clothes(thing, random)
            if "hand" in thing.anchors and self.world.holdables and random.random() < shares["holding"]:
                holding = random.choice([key for key in self.world.holdables if key != thing.key])
        tilt = self.settings.placing["tilt_degrees"]
        angle = random.uniform(-tilt, tilt) if random.random() < shares["tilted"] else 0.0
        return Item(thing.key, 0.5, 0.5, 0.5, size, colour, wearing, holding, self._mirrored(thing.key, random), angle)

    def background(self, random: Random) -> Background:
        """A background by lot."""
        kind = weighted(self.settings.grounds, random)
        variant = random.randrange(int(self.settings.placing["variants"]))
        if kind == "plain":
            white = random.random() < self.settings.shares["white"]
            return Background(kind, ("white",)) if white else Background(kind, (self._paint(random),), variant)
        if kind == "gradient":
            return Background(kind, tuple(random.sample(sorted(PLAIN), 2)), variant)
        return Background(kind, (), variant)

    def _paint(self, random: Random) -> str:
        return random.choice([name for name in PLAIN if name != "white"])

    def _thing(self, random: Random) -> Thing:
        dressed = self._dressable.keys and random.random() < self.settings.shares["dressable"]
        return self.world.things[(self._dressable if dressed else self._everything).draw(random)]

    def _different(self, count: int, random: Random) -> list[Thing]:
        """Things that share neither a name nor a picture."""
        chosen: list[Thing] = []
        taken: set[str] = set()
        while len(chosen) < count:
            thing = self._thing(random)
            names = {noun.one for noun in thing.english} | set(thing.chinese) | {thing.look_alike or thing.key}
            if not names & taken:
                chosen.append(thing)
                taken |= names
        return chosen

    def _clothes(self, thing: Thing, random: Random) -> tuple[str, ...]:
        """Pieces for different anchors; glasses and a mask are not worn together."""
        fitting = [piece for piece in self.world.wearables.values() if piece.anchor in thing.anchors]
        wanted = weighted(DRESSED_PIECES, random)
        worn: dict[str, str] = {}
        for piece in random.sample(fitting, len(fitting)):
            place = "face" if piece.anchor in ("eyes", "mouth") else piece.anchor
            if len(worn) < wanted and place not in worn:
                worn[place] = piece.key
        return tuple(sorted(worn.values()))

    def _mirrored(self, key: str, random: Random) -> bool:
        return self.world.things[key].group not in UNMIRRORED and random.random() < self.settings.shares["mirrored"]


class Lot:
    """Keys to be drawn as often as their weights say; adds the weights up once, for there are many."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.keys, self._cumulative = list(weights), list(accumulate(weights.values()))

    def draw(self, random: Random) -> str:
        """One key."""
        return random.choices(self.keys, cum_weights=self._cumulative)[0]


def weighted(weights: Mapping[T, float], random: Random) -> T:
    """One key, as likely as its weight; for a few keys."""
    return random.choices(list(weights), list(weights.values()))[0]
