"""What the tests of the evaluation share: pictures as asked, an artist that needs no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from training.judge.classes import Classes
from training.judge.read import Reading, Seen
from training.scenes.scene import Background, Scene

BOXES = {
    "left of": ((0.0, 0.3, 0.4, 0.7), (0.6, 0.3, 1.0, 0.7)),
    "right of": ((0.6, 0.3, 1.0, 0.7), (0.0, 0.3, 0.4, 0.7)),
    "above": ((0.3, 0.0, 0.7, 0.4), (0.3, 0.6, 0.7, 1.0)),
    "below": ((0.3, 0.6, 0.7, 1.0), (0.3, 0.0, 0.7, 0.4)),
    "on": ((0.35, 0.2, 0.65, 0.5), (0.3, 0.5, 0.7, 0.9)),
    "next to": ((0.1, 0.3, 0.4, 0.7), (0.5, 0.3, 0.9, 0.7)),
}
NOTHING = Reading((), Background("plain", ("grey",)))


def as_asked(scene: Scene, classes: Classes) -> Reading:
    """What the judge would see in a faultless picture of an asked scene."""
    boxes = BOXES.get(scene.relation, BOXES["next to"] * 2)
    seen = [
        Seen(classes.class_of(item.thing), item.colour, box, item.size, frozenset(item.wearing))
        for item, box in zip(scene.items, boxes, strict=False)
    ]
    return Reading(tuple(seen), scene.background if scene.background.kind else Background("plain", ("white",)))


class StandInPicture:
    """A picture of one colour."""

    def __init__(self, side: int) -> None:
        self.side = side

    def save(self, path: Path) -> Path:
        Image.new("RGB", (self.side, self.side), (200, 30, 30)).save(path)
        return path


class StandInArtist:
    """Notes what it is asked for; gives up after `patience` pictures."""

    def __init__(self, patience: int = 1000, side: int = 64) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.patience, self.side, self.closed = patience, side, False

    def generate(self, prompt: str, **request: Any) -> StandInPicture:
        if len(self.asked) == self.patience:
            raise KeyboardInterrupt
        self.asked.append((prompt, request))
        return StandInPicture(self.side)

    def close(self) -> None:
        self.closed = True
