"""From readings to shares of prompts that were answered rightly, category by category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluate.prompts import CATEGORIES, Prompt
from training.judge.classes import Classes
from training.judge.questions import answers
from training.judge.read import Reading

QUESTION = {
    "single object": "thing",
    "two objects": "thing",
    "colour": "colour",
    "count": "count",
    "position": "relation",
    "wearing": "wearing",
    "background": "background",
}
"""The judge's question that decides a category; that the things are there is asked of all of them."""

WITH_UNSEEN = ("two objects", "colour", "wearing", "background")
"""The categories with held-out combinations."""


@dataclass(frozen=True)
class Share:
    """So many right of so many asked."""

    right: int
    asked: int

    @property
    def percent(self) -> float:
        """100 for all; 0 where nothing was asked."""
        return 100 * self.right / self.asked if self.asked else 0.0


def is_right(prompt: Prompt, reading: Reading, classes: Classes) -> bool:
    """Whether all asked things are there, and the category's own question is answered rightly, too."""
    right = answers(prompt.scene, reading, classes)
    return right["thing"] and right[QUESTION[prompt.category]]


def scores(prompts: Sequence[Prompt], right: Sequence[bool]) -> dict[str, Share]:
    """Shares by category, then of all English, Chinese, unseen and like seen, and of all prompts; empty rows are left
    out.

    "seen combinations" are the rest of those categories that have unseen ones.
    """
    pairs = list(zip(prompts, right, strict=True))
    rows = {category: [yes for one, yes in pairs if one.category == category] for category in CATEGORIES}
    rows["English"] = [yes for one, yes in pairs if one.language == "en"]
    rows["Chinese"] = [yes for one, yes in pairs if one.language == "zh"]
    rows["seen combinations"] = [yes for one, yes in pairs if one.category in WITH_UNSEEN and not one.unseen]
    rows["unseen combinations"] = [yes for one, yes in pairs if one.unseen]
    rows["overall"] = list(right)
    return {name: Share(sum(values), len(values)) for name, values in rows.items() if values}
