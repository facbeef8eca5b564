"""Combinations that no training picture shows, so that an evaluation can ask for them.

    python -m training.scenes.held_out [--cache FOLDER]

writes `held_out.txt`, a fixed list kept in the repository: "blue apple", "cat + crown" (worn), "cat & dog" (together)
and "cat @ night" (background), all by the keys of the world.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path
from random import Random

from training.cache import DEFAULT_CACHE
from training.scenes.names import load_world
from training.scenes.scene import BACKGROUNDS, Scene
from training.scenes.world import World

LIST = Path(__file__).with_name("held_out.txt")
SHARES = {"colours": 0.05, "worn": 0.08, "grounds": 0.02}
PAIRS = 300


def load_held_out(path: Path = LIST) -> frozenset[str]:
    """The list."""
    return frozenset(path.read_text(encoding="utf-8").splitlines())


def combinations_of(scene: Scene) -> set[str]:
    """Everything about a scene that could be on the list."""
    ground = scene.background
    found = set()
    for item in scene.items:
        found.add(f"{item.thing} @ {ground.colours[0] if ground.kind == 'plain' else ground.kind}")
        found.update(f"{item.thing} + {worn}" for worn in item.wearing)
        if item.colour:
            found.add(f"{item.colour} {item.thing}")
    for first, second in combinations(sorted({item.thing for item in scene.items}), 2):
        found.add(f"{first} & {second}")
    return found


def choose(world: World, random: Random) -> list[str]:
    """A new list, sorted. Only plain things are held out: an evaluation asks for what people ask for."""
    plain = sorted(key for key, thing in world.things.items() if thing.weight >= 1)
    coloured = [f"{colour} {key}" for key in plain for colour in world.things[key].recolours]
    worn = [
        f"{key} + {piece.key}"
        for key in plain
        for piece in world.wearables.values()
        if piece.anchor in world.things[key].anchors
    ]
    grounds = [f"{key} @ {kind}" for key in plain for kind in (*BACKGROUNDS[1:], "red", "blue", "yellow", "green")]
    pairs = {" & ".join(sorted(random.sample(plain, 2))) for _ in range(PAIRS)}
    chosen = list(pairs)
    for name, everything in (("colours", coloured), ("worn", worn), ("grounds", grounds)):
        chosen += random.sample(everything, round(SHARES[name] * len(everything)))
    return sorted(chosen)


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    chosen = choose(load_world(parser.parse_args().cache), Random(0))
    LIST.write_text("\n".join(chosen) + "\n", encoding="utf-8")
    print(f"{len(chosen)} combinations in {LIST.name}")


if __name__ == "__main__":
    main()
