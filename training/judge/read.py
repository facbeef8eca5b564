"""What the judge says about one picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import permutations

from training.judge.labels import Box
from training.scenes.geometry import relation_holds
from training.scenes.scene import RELATIONS, Background


@dataclass(frozen=True)
class Seen:
    """One object that was found.

    `thing` stands for all that look like it. `box` is that of the object itself, without what it wears or holds.
    `size` is one of `SIZES`, `score` the chance that there is an object and that it is this one, `covered` the
    chance that something lies in front of it.
    """

    thing: str
    colour: str
    box: Box
    size: str
    wearing: frozenset[str] = frozenset()
    holding: str = ""
    score: float = 1.0
    covered: float = 0.0


@dataclass(frozen=True)
class Reading:
    """Everything that was seen, the surest object first."""

    seen: tuple[Seen, ...]
    background: Background
    style: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each thing."""
        return dict(Counter(one.thing for one in self.seen))

    @property
    def relations(self) -> tuple[tuple[int, str, int], ...]:
        """All that is true of two objects, by their places in `seen`: (0, "left of", 1)."""
        pairs = permutations(range(len(self.seen)), 2)
        return tuple((i, name, j) for i, j in pairs for name in RELATIONS if holds(name, self.seen[i], self.seen[j]))


def holds(relation: str, first: Seen, second: Seen) -> bool:
    """Whether `first` lies so to `second`; the one that is less covered is taken to be on top."""
    return relation_holds(relation, first.box, second.box, first.covered < second.covered)
