"""The fixed list of prompts, `prompts.jsonl`: each with the scene that it asks for, and no more than it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from training.scenes.scene import Background, Item, Scene

LIST = Path(__file__).with_name("prompts.jsonl")

CATEGORIES = {
    "single object": 120,
    "two objects": 80,
    "colour": 60,
    "count": 60,
    "position": 60,
    "wearing": 60,
    "background": 60,
}
"""How many prompts of each kind."""

NOTHING_ASKED = Background("")
"""The background of a scene whose prompt does not say one."""


@dataclass(frozen=True)
class Prompt:
    """One prompt. `place` in the list is its seed, too.

    `scene` holds what the text asks for; its items have no places (all 0), a medium size asks for none, and its
    background is `NOTHING_ASKED` where the text does not say one. `wording` is "plain" or "varied". `unseen` is the
    combination of `held_out.txt` that the prompt asks for, "" where training pictures show all of its combinations.
    """

    place: int
    category: str
    language: str
    wording: str
    text: str
    scene: Scene
    unseen: str = ""


def asked(thing: str, colour: str = "", wearing: tuple[str, ...] = ()) -> Item:
    """An item without a place."""
    return Item(thing, 0, 0, 0, colour=colour, wearing=wearing)


def load_prompts(path: Path = LIST) -> list[Prompt]:
    """The list. A row that it cannot read is a `ValueError` that names its line."""
    prompts = []
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            prompts.append(_from_row(place, json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name}, line {place + 1}: {error!r}") from error
    return prompts


def save_prompts(prompts: Iterable[Prompt], path: Path = LIST) -> None:
    """Write a list, one row of JSON a line."""
    rows = (json.dumps(_as_row(prompt), ensure_ascii=False) for prompt in prompts)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def spread(prompts: Sequence[Prompt], count: int | None) -> list[Prompt]:
    """`count` of them, from all categories in proportion, in the order of the list; always the same ones.

    A smaller choice is part of each larger one, so that a look at a few prompts is not lost work.
    """
    ranks: dict[int, float] = {}
    for category in CATEGORIES:
        places = [prompt.place for prompt in prompts if prompt.category == category]
        Random(category).shuffle(places)
        ranks |= {place: (number + 0.5) / len(places) for number, place in enumerate(places)}
    first = set(sorted(ranks, key=lambda place: (ranks[place], place))[:count])
    return [prompt for prompt in prompts if prompt.place in first]


def _as_row(prompt: Prompt) -> dict[str, Any]:
    scene = prompt.scene
    items = scene.items[:1] if scene.count > 1 else scene.items
    kept = ("thing", "colour", "wearing")
    row = {name: getattr(prompt, name) for name in ("category", "language", "wording", "text", "unseen")}
    row["items"] = [{name: value for name in kept if (value := getattr(item, name))} for item in items]
    row["count"] = scene.count if scene.count > 1 else 0
    row["relation"] = scene.relation
    row["background"] = " ".join((scene.background.kind, *scene.background.colours))
    return {name: value for name, value in row.items() if value}


def _from_row(place: int, row: Mapping[str, Any]) -> Prompt:
    things = [asked(item["thing"], item.get("colour", ""), tuple(item.get("wearing", ()))) for item in row["items"]]
    kind, *colours = row.get("background", "").split(" ")
    scene = Scene(tuple(things) * row.get("count", 1), Background(kind, tuple(colours)), row.get("relation", ""))
    if row["category"] not in CATEGORIES:
        raise ValueError(f"no such category: {row['category']}")
    return Prompt(place, row["category"], row["language"], row["wording"], row["text"], scene, row.get("unseen", ""))
