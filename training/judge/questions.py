"""Which of the things that were asked for a picture shows, as the judge reads it.

What was asked is a `Scene`; its exact places, angles and medium sizes are nobody's question, so it may as well be
what a prompt says. Kinds of questions:

- thing: every asked thing is there (a look-alike will do), at least once.
- count: there are as many of it as asked, where more than one was.
- colour, size, wearing, holding: those of every asked object, where it was said.
- background (kind and colours, where said), relation, style.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from training.judge.classes import Classes
from training.judge.read import Reading, Seen, holds
from training.scenes.saying import is_grey
from training.scenes.scene import Item, Scene

QUESTIONS = ("thing", "colour", "count", "size", "background", "relation", "wearing", "holding", "style")

UNSAID_SIZE = "medium"
Pair = tuple[Item, Seen | None]


def answers(scene: Scene, reading: Reading, classes: Classes) -> dict[str, bool]:
    """For each kind of question the scene asks, whether the reading has it right."""
    pairs = _pairs(scene, reading, classes)
    right = {}
    if scene.items:
        right["thing"] = all(seen is not None for seen in _first_of_each(pairs, classes))
    checks = {
        "colour": [_colour_right(*pair, classes) for pair in pairs if pair[0].colour and not is_grey(scene)],
        "size": [_has(seen, "size", item.size) for item, seen in pairs if item.size not in ("", UNSAID_SIZE)],
        "wearing": [_has(seen, "wearing", frozenset(item.wearing)) for item, seen in pairs if item.wearing],
        "holding": [_has(seen, "holding", item.holding) for item, seen in pairs if item.holding],
    }
    right |= {kind: all(found) for kind, found in checks.items() if found}
    if scene.count > 1:
        right["count"] = reading.counts.get(classes.class_of(scene.items[0].thing), 0) == scene.count
    if scene.background.kind:
        right["background"] = _background_right(scene, reading)
    if scene.relation:
        right["relation"] = _relation_right(scene, reading, classes)
    if scene.style:
        right["style"] = reading.style == scene.style
    return right


def accuracy(rows: Iterable[Mapping[str, bool]]) -> dict[str, tuple[float, int]]:
    """Share of right answers and number of questions, for each kind asked and for "overall" (all questions alike)."""
    right: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        for kind, value in row.items():
            right[kind].append(value)
            right["overall"].append(value)
    order = [kind for kind in (*QUESTIONS, "overall") if kind in right]
    return {kind: (sum(right[kind]) / len(right[kind]), len(right[kind])) for kind in order}


def _pairs(scene: Scene, reading: Reading, classes: Classes) -> list[Pair]:
    """Each asked item with a seen object of its kind, the one that fits best, none twice.

    Further copies of a thing that is there but not often enough are left out: only `count` asks for those.
    """
    free = list(reading.seen)
    pairs: list[Pair] = []
    found: set[str] = set()
    for item in scene.items:
        kind = classes.class_of(item.thing)
        fits = [seen for seen in free if seen.thing == kind]
        if fits:
            best = max(fits, key=lambda seen: _fit(item, seen, classes))
            free.remove(best)
            pairs.append((item, best))
            found.add(kind)
        elif scene.count == 1 or kind not in found:
            pairs.append((item, None))
    return pairs


def _first_of_each(pairs: list[Pair], classes: Classes) -> list[Seen | None]:
    firsts: dict[str, Seen | None] = {}
    for item, seen in pairs:
        firsts.setdefault(classes.class_of(item.thing), seen)
    return list(firsts.values())


def _fit(item: Item, seen: Seen, classes: Classes) -> tuple[int, float]:
    details = (
        _colour_right(item, seen, classes),
        seen.size == item.size,
        seen.wearing == frozenset(item.wearing),
        seen.holding == item.holding,
    )
    return sum(details), seen.score


def _has(seen: Seen | None, name: str, value: object) -> bool:
    return seen is not None and getattr(seen, name) == value


def _colour_right(item: Item, seen: Seen | None, classes: Classes) -> bool:
    """The asked colour, or the art's own where that is the asked one."""
    if seen is None:
        return False
    own = classes.own_colours.get(seen.thing, "")
    return (seen.colour or own) == (item.colour or own)


def _background_right(scene: Scene, reading: Reading) -> bool:
    asked, seen = scene.background, reading.background
    same_colours = not asked.colours or is_grey(scene) or set(asked.colours) == set(seen.colours)
    return asked.kind == seen.kind and same_colours


def _relation_right(scene: Scene, reading: Reading, classes: Classes) -> bool:
    subject, other = (classes.class_of(scene.items[index].thing) for index in (scene.subject, 1 - scene.subject))
    return any(
        holds(scene.relation, first, second)
        for first in reading.seen
        for second in reading.seen
        if first is not second and first.thing == subject and second.thing == other
    )
