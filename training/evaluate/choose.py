"""Choose the list of prompts anew: always the same list for the same things, held-out combinations and captions.

    python -m training.evaluate.choose [--cache FOLDER]

writes `prompts.jsonl`. The things are those of the recipe "cpu", which the larger recipe knows too, so that small and
large models answer the same prompts. In each category two of five prompts are Chinese and half of each language is
plainly worded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from random import Random

from training.artist.settings import load_recipe
from training.artist.subjects import recipe_sampler
from training.cache import DEFAULT_CACHE
from training.evaluate.complete import complete
from training.evaluate.prompts import CATEGORIES, LIST, NOTHING_ASKED, Prompt, asked, save_prompts
from training.evaluate.wording import word
from training.scenes.held_out import combinations_of
from training.scenes.palette import PLAIN
from training.scenes.sampler import Sampler
from training.scenes.scene import Background, Item, Scene

LANGUAGE_CYCLE = ("en", "zh", "en", "zh", "en")
RELATIONS = ("left of", "right of", "above", "below", "on", "next to")
GROUNDS = ("red", "sky", "blue", "grass", "gradient", "yellow", "sea", "green", "night", "pink", "snow", "purple",
           "sunset", "orange", "black")  # fmt: skip

Ask = tuple[Scene, str]
"""A scene, and the held-out combination in it or ""."""


class Chooser:
    """Asked scenes by category, from a sampler's world; `held_out` combinations of its things come first."""

    def __init__(self, sampler: Sampler, random: Random) -> None:
        self.world, self.sampler, self.random = sampler.world, sampler, random
        self.keys = sorted(self.world.things)
        self._kinds: dict[str, Callable[[], Iterator[Scene]]] = {
            "single object": self._singles,
            "two objects": self._pairs,
            "colour": self._coloured,
            "count": self._counted,
            "position": self._related,
            "wearing": self._dressed,
            "background": self._grounds,
        }

    def asks(self, category: str, count: int) -> list[Ask]:
        """That many different scenes; up to half of them are unseen combinations, where there are such."""
        unseen = self._held(category)
        self.random.shuffle(unseen)
        chosen = unseen[: count // 2]
        seen: list[Ask] = []
        for scene in self._kinds[category]():
            if len(chosen) + len(seen) == count:
                return chosen + seen
            if not combinations_of(scene) & self.sampler.held_out and (scene, "") not in seen:
                complete(scene, self.sampler, Random(0))
                seen.append((scene, ""))
        raise ValueError(f"there are not {count} scenes of the category {category!r}")

    def _held(self, category: str) -> list[Ask]:
        mark = {"two objects": " & ", "colour": " ", "wearing": " + ", "background": " @ "}.get(category)
        found: list[Ask] = []
        for name in sorted(self.sampler.held_out) if mark else []:
            first, _, second = name.partition(mark or "")
            if category == "colour" and second in self.world.things:
                found.append((_scene(asked(second, first)), name))
            elif category == "two objects" and {first, second} <= set(self.keys):
                pair = self.random.sample((first, second), 2)
                found.append((_scene(*map(asked, pair)), name))
            elif category == "wearing" and first in self.world.things and second in self.world.wearables:
                found.append((_scene(asked(first, wearing=(second,))), name))
            elif category == "background" and first in self.world.things and second:
                found.append((Scene((asked(first),), self._ground(second)), name))
        return found

    def _singles(self) -> Iterator[Scene]:
        for key in self._shuffled():
            yield _scene(asked(key))

    def _pairs(self) -> Iterator[Scene]:
        while True:
            yield _scene(*map(asked, self.random.sample(self.keys, 2)))

    def _coloured(self) -> Iterator[Scene]:
        for key in self._shuffled():
            if colours := self.world.things[key].recolours:
                yield _scene(asked(key, self.random.choice(colours)))

    def _counted(self) -> Iterator[Scene]:
        for key, count in zip(self._shuffled(), cycle((2, 3, 4)), strict=False):
            yield _scene(*(asked(key),) * count)

    def _related(self) -> Iterator[Scene]:
        for relation in cycle(RELATIONS):
            first, second = map(asked, self.random.sample(self.keys, 2))
            yield Scene((first, second), NOTHING_ASKED, relation)

    def _dressed(self) -> Iterator[Scene]:
        """Every piece as often as the next."""
        for piece in cycle(self.world.wearables.values()):
            fitting = [key for key in self.keys if piece.anchor in self.world.things[key].anchors]
            yield _scene(asked(self.random.choice(fitting), wearing=(piece.key,)))

    def _grounds(self) -> Iterator[Scene]:
        for key, name in zip(self._shuffled(), cycle(GROUNDS), strict=False):
            yield Scene((asked(key),), self._ground(name))

    def _ground(self, name: str) -> Background:
        if name == "gradient":
            return Background(name, tuple(self.random.sample(sorted(PLAIN), 2)))
        return Background("plain", (name,)) if name in PLAIN else Background(name)

    def _shuffled(self) -> list[str]:
        return self.random.sample(self.keys, len(self.keys))


def choose(sampler: Sampler, counts: dict[str, int]) -> list[Prompt]:
    """The list, category by category, unseen combinations first; no text twice."""
    prompts: list[Prompt] = []
    for category, count in counts.items():
        asks = Chooser(sampler, Random(f"{category}, scenes")).asks(category, count)
        random = Random(f"{category}, words")
        for number, ((scene, unseen), language) in enumerate(zip(asks, cycle(LANGUAGE_CYCLE), strict=False)):
            # A language's plain and varied wordings take turns: five prompts of each.
            wording = "varied" if number // len(LANGUAGE_CYCLE) % 2 else "plain"
            text = word(scene, sampler.world, random, language, wording)
            prompts.append(Prompt(len(prompts), category, language, wording, text, scene, unseen))
    if len({prompt.text for prompt in prompts}) < len(prompts):
        raise ValueError("two prompts have the same text")
    return prompts


def _scene(*items: Item) -> Scene:
    return Scene(items, NOTHING_ASKED)


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    chosen = choose(recipe_sampler(load_recipe("cpu"), parser.parse_args().cache), CATEGORIES)
    save_prompts(chosen)
    unseen = sum(bool(prompt.unseen) for prompt in chosen)
    print(f"{len(chosen)} prompts in {LIST.name}, {unseen} of them unseen combinations")


if __name__ == "__main__":
    main()
