"""What the judge can answer: the lists of names behind the numbers of its networks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from training.scenes.scene import BACKGROUNDS, COLOURS, STYLES
from training.scenes.world import World

NOTHING = ""
"""The first thing: there is no object in this box."""

COLOUR_CLASSES = ("", *COLOURS)
"""Colours of an object; "" for the art's own."""


@dataclass(frozen=True)
class Classes:
    """Names in the order of the networks' outputs.

    `things` begins with `NOTHING`, `holdables` with "" (the hand is empty). `alike` maps every thing of the world to
    the one that stands for all that look like it, `own_colours` every such class to the colour of its own art
    ("" where it has none that a person would name). `groups` are the coarse kinds of things.
    """

    things: tuple[str, ...]
    wearables: tuple[str, ...]
    holdables: tuple[str, ...]
    groups: tuple[str, ...]
    alike: Mapping[str, str] = field(default_factory=dict)
    own_colours: Mapping[str, str] = field(default_factory=dict)
    group_of: Mapping[str, str] = field(default_factory=dict)
    backgrounds: tuple[str, ...] = BACKGROUNDS
    colours: tuple[str, ...] = COLOURS
    styles: tuple[str, ...] = STYLES

    def class_of(self, thing: str) -> str:
        """The thing that stands for all that look like this one."""
        return self.alike.get(thing, thing)

    def to_json(self) -> str:
        """As text, one list a line."""
        return json.dumps(asdict(self), indent=0, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Classes:
        """What `to_json` wrote."""
        table: dict[str, Any] = json.loads(text)
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in table.items()})


def classes_of(world: World) -> Classes:
    """The classes of everything that can be drawn."""
    alike = {key: _stand_in(world, key) for key in world.things}
    kinds = sorted(set(alike.values()))
    return Classes(
        things=(NOTHING, *kinds),
        wearables=tuple(sorted(world.wearables)),
        holdables=("", *sorted(world.holdables)),
        groups=tuple(sorted({world.things[key].group for key in kinds})),
        alike=alike,
        own_colours={key: world.things[key].colour for key in kinds},
        group_of={key: world.things[key].group for key in kinds},
    )


def _stand_in(world: World, key: str) -> str:
    other = world.things[key].look_alike
    return other if other in world.things else key
