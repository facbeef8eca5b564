"""What boxes say: how large something is called, and how two things lie to each other.

Boxes are (left, top, right, bottom) in shares of the picture's side, y downwards. The sampler of scenes
keeps what it promises by these rules, and the judge reads relations with the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping

Box = tuple[float, float, float, float]

BESIDE = 0.12
"""Least distance of two centres for "left of", "above" and the like."""


def size_name(side: float, limits: Mapping[str, float]) -> str:
    """The name of a longer side: the first of tiny, small, medium whose limit is above it, else big."""
    return next((name for name in ("tiny", "small", "medium") if side < limits[name]), "big")


def side_of(box: Box) -> float:
    """The longer side."""
    return max(box[2] - box[0], box[3] - box[1])


def union(boxes: list[Box]) -> Box:
    """The smallest box around all."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def area(box: Box) -> float:
    """Width times height; 0 for a box that is turned inside out."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def shared_area(first: Box, second: Box) -> float:
    """The area that lies in both."""
    corners = max(first[0], second[0]), max(first[1], second[1]), min(first[2], second[2]), min(first[3], second[3])
    return area(corners)


def overlap(first: Box, second: Box) -> float:
    """Area of both in shares of the smaller one."""
    smaller = min(area(first), area(second))
    return shared_area(first, second) / smaller if smaller > 0 else 0.0


def relation_holds(relation: str, first: Box, second: Box, first_on_top: bool = True) -> bool:
    """Whether "first RELATION second" is true of two boxes.

    `first_on_top` says which one hides the other, where that is known; "in front of" needs it. Raises `ValueError`
    for an unknown relation.
    """
    across = (first[0] + first[2] - second[0] - second[2]) / 2
    down = (first[1] + first[3] - second[1] - second[3]) / 2
    shared = overlap(first, second)
    if relation == "left of":
        return across < -BESIDE and abs(across) > abs(down)
    if relation == "right of":
        return across > BESIDE and abs(across) > abs(down)
    if relation == "above":
        return down < -BESIDE and abs(down) > abs(across)
    if relation == "below":
        return down > BESIDE and abs(down) > abs(across)
    if relation == "next to":
        gap = max(first[0], second[0]) - min(first[2], second[2])
        return abs(across) > BESIDE and abs(across) > abs(down) and -0.1 < gap < 0.3
    if relation == "on":
        stands = second[1] - 0.06 < first[3] < second[1] + 0.6 * (second[3] - second[1])
        return stands and down < -BESIDE and abs(across) < 0.5 * (second[2] - second[0])
    if relation == "in front of":
        return first_on_top and shared > 0.12 and first[3] > second[3] + 0.02
    raise ValueError(f"unknown relation {relation!r}")
