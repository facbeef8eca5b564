"""A wish on its way into the queue: checked, and nothing about it left open. May block: pictures are read."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace

from nutshell.service.models import Models
from nutshell.service.wish import Limits, Wish


def checked(wish: Wish, models: Models, limits: Limits) -> tuple[Wish, str]:
    """The wish with its model and seed settled, and what it may share a drawing by: empty where the seed was ours.

    Raises UsageError (with `field`), ModelNotFound.
    """
    wish = replace(wish, model=models.resolve(wish.model))
    wish.check(limits)
    if (wish.width is None) != (wish.height is None):
        _both_sides(wish, models).check(limits)
    if wish.seed is None:
        return replace(wish, seed=secrets.randbelow(2**32)), ""
    return wish, _share(wish)


def _both_sides(wish: Wish, models: Models) -> Wish:
    """One side was given; the other is the model's, or as long where that is not known."""
    row = next((row for row in models.rows() if row.name == wish.model), None)
    width = wish.width or (row.width if row else wish.height)
    return replace(wish, width=width, height=wish.height or (row.height if row else width))


def _share(wish: Wish) -> str:
    """Equal for wishes that are equal in all, their pictures too."""
    digest = hashlib.sha256(json.dumps(wish.to_json(), sort_keys=True).encode())
    for data in (wish.image, wish.mask):
        digest.update(b"\0" if data is None else hashlib.sha256(data).digest())
    return digest.hexdigest()
