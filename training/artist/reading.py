"""What a caption says, as numbers, and heads that must tell it from the text encoder's output alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, silu

from training.scenes.saying import is_grey
from training.scenes.scene import BACKGROUNDS, COLOURS, RELATIONS, SIZES, STYLES, Scene
from training.scenes.world import World

MOST_ITEMS = 3
MOST_COUNT = 4
ITEM_HEADS = (len(COLOURS) + 1, len(SIZES), 3)
"""An item's colour (0: its own), its size, and its part in a relation (0: none, 1: subject, 2: the other)."""
SCENE_HEADS = (len(BACKGROUNDS) + 1, len(RELATIONS) + 1, len(STYLES), MOST_COUNT)


@dataclass(frozen=True)
class Said:
    """What n captions say. `things` (n, all) and `grounds` (n, colours) are 0 or 1; `scene` (n, 4) classes of
    background (0: nothing said), relation, style, count. Of up to three different items (n, 3): `asked` the thing or
    -1 for none, `item` (n, 3, 3) classes, `worn` (n, 3, wearables) 0 or 1, `place` (n, 3, 3) centre and side."""

    things: Tensor
    grounds: Tensor
    scene: Tensor
    asked: Tensor
    item: Tensor
    worn: Tensor
    place: Tensor

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order above."""
        return self.things, self.grounds, self.scene, self.asked, self.item, self.worn, self.place


class Clerk:
    """Writes down what captions of scenes say; an empty caption says nothing."""

    def __init__(self, world: World) -> None:
        self.things = {key: number for number, key in enumerate(world.things)}
        self.worn = {key: number for number, key in enumerate(world.wearables)}

    def said(self, scenes: list[Scene], words: list[str]) -> Said:
        """For scenes and their captions."""
        n = len(scenes)
        said = Said(
            torch.zeros(n, len(self.things)), torch.zeros(n, len(COLOURS)),
            torch.zeros(n, len(SCENE_HEADS), dtype=torch.long), torch.full((n, MOST_ITEMS), -1),
            torch.zeros(n, MOST_ITEMS, len(ITEM_HEADS), dtype=torch.long),
            torch.zeros(n, MOST_ITEMS, len(self.worn)), torch.zeros(n, MOST_ITEMS, 3),
        )  # fmt: skip
        for row, (scene, text) in enumerate(zip(scenes, words, strict=True)):
            if text:
                self._write(said, row, scene)
        return said

    def _write(self, said: Said, row: int, scene: Scene) -> None:
        grey = is_grey(scene)
        said.scene[row] = torch.tensor(
            [
                BACKGROUNDS.index(scene.background.kind) + 1,
                RELATIONS.index(scene.relation) + 1 if scene.relation else 0,
                STYLES.index(scene.style),
                scene.count - 1,
            ]
        )
        for colour in () if grey else scene.background.colours:
            said.grounds[row, COLOURS.index(colour)] = 1
        for slot, item in enumerate(scene.items[: 1 if scene.count > 1 else MOST_ITEMS]):
            said.things[row, self.things[item.thing]] = 1
            said.asked[row, slot] = self.things[item.thing]
            part = 0 if not scene.relation else 1 if slot == scene.subject else 2
            colour = 0 if grey or not item.colour else COLOURS.index(item.colour) + 1
            said.item[row, slot] = torch.tensor([colour, SIZES.index(item.size), part])
            said.place[row, slot] = torch.tensor([item.x, item.y, item.side])
            for key in item.wearing:
                said.worn[row, slot, self.worn[key]] = 1


class Heads(nn.Module):
    """Linear readings of a sentence, and of each of its things when asked about it."""

    def __init__(self, width: int, clerk: Clerk) -> None:
        super().__init__()
        self.sizes = (len(clerk.things), len(COLOURS), sum(SCENE_HEADS))
        self.whole = nn.Linear(width, sum(self.sizes))
        self.question = nn.Embedding(len(clerk.things), width)
        self.mix = nn.Linear(2 * width, 2 * width)
        self.item_sizes = (sum(ITEM_HEADS), len(clerk.worn), 3)
        self.item = nn.Linear(2 * width, sum(self.item_sizes))

    def loss(self, hidden: Tensor, said: Said) -> Tensor:
        """Summed losses for hidden states (n, width)."""
        things, grounds, scene = self.whole(hidden).float().split(self.sizes, dim=1)
        loss = 20 * binary_cross_entropy_with_logits(things, said.things)
        loss = loss + 3 * binary_cross_entropy_with_logits(grounds, said.grounds)
        for part, wanted in zip(scene.split(SCENE_HEADS, dim=1), said.scene.unbind(1), strict=True):
            loss = loss + cross_entropy(part, wanted)
        rows, slots = (said.asked >= 0).nonzero(as_tuple=True)
        if not len(rows):
            return loss
        questions = self.question(said.asked[rows, slots])
        answers = self.item(silu(self.mix(torch.cat([hidden[rows], questions], dim=1)))).float()
        classes, worn, place = answers.split(self.item_sizes, dim=1)
        for part, wanted in zip(classes.split(ITEM_HEADS, dim=1), said.item[rows, slots].unbind(1), strict=True):
            loss = loss + cross_entropy(part, wanted)
        loss = loss + 5 * binary_cross_entropy_with_logits(worn, said.worn[rows, slots])
        return loss + 3 * l1_loss(place, said.place[rows, slots])
