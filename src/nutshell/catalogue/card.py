"""Model cards: what a checkpoint's own files do not say about how to use it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from typing import Any

from nutshell.errors import ModelError, ModelNotFound

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class ModelCard:
    """One model.

    name: how users call it. folder: of a built-in model, below `nutshell/builtin`. base: name of the model
    whose parts it shares, that is those which are not in its own folder; "" if none. licence: SPDX id.
    width, height: native size in pixels. steps, guidance, sampler, schedule, spacing: what suits it.
    preview: linear map from a latent cell to its mean colour, one row of (red, green, blue) in 0..1 for
    each latent channel and a last one for the offset; empty if unknown.
    """

    name: str
    title: str
    licence: str
    folder: str = ""
    base: str = ""
    width: int = 512
    height: int = 512
    steps: int = 20
    guidance: float = 7.5
    sampler: str | None = None
    schedule: str | None = None
    spacing: str | None = None
    preview: tuple[tuple[float, ...], ...] = ()

    @staticmethod
    def read(name: str, table: Mapping[str, Any]) -> ModelCard:
        """Check a parsed card. Raises ModelError naming the key that is wrong."""
        known = {field.name: field for field in fields(ModelCard)}
        for key, value in table.items():
            if key not in known:
                raise ModelError(f"the card {name!r} has an unknown key {key!r}", f"known: {', '.join(known)}")
            if key in ("width", "height", "steps") and not (isinstance(value, int) and value > 0):
                raise ModelError(f"the card {name!r}: {key} must be a whole number above 0, not {value!r}")
        missing = [key for key in ("title", "licence") if key not in table]
        if missing:
            raise ModelError(f"the card {name!r} lacks {', '.join(missing)}")
        preview = tuple(tuple(float(value) for value in row) for row in table.get("preview", ()))
        if any(len(row) != 3 for row in preview):
            raise ModelError(f"the card {name!r}: each row of preview has three colours")
        return ModelCard(**{**table, "name": name, "preview": preview})


def check_bases(found: Mapping[str, ModelCard]) -> None:
    """Raise ModelError for a card whose base is not there, or shares parts itself."""
    for each in found.values():
        if each.base and (each.base not in found or found[each.base].base or not found[each.base].folder):
            raise ModelError(f"the card {each.name!r}: its base {each.base!r} is no whole built-in model")


@lru_cache(maxsize=1)
def cards() -> Mapping[str, ModelCard]:
    """Every card that comes with the program, by name."""
    found = {}
    for file in sorted((resources.files("nutshell.catalogue") / "cards").iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = ModelCard.read(name, tomllib.loads(file.read_text("utf-8")))
    check_bases(found)
    return found


def card(name: str) -> ModelCard:
    """The card of that name. Raises ModelNotFound with the names there are."""
    try:
        return cards()[name]
    except KeyError:
        raise ModelNotFound(f"there is no model named {name!r}", f"known: {', '.join(cards())}") from None
