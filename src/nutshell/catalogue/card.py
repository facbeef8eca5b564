"""Model cards: what a checkpoint's own files do not say about how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nutshell.catalogue.keys import BY_NAME, Key
from nutshell.catalogue.source import Source
from nutshell.errors import ModelError
from nutshell.language import Text, tr

REQUIRED = ("title", "licence")


@dataclass(frozen=True)
class ModelCard:
    """One model. `nutshell/catalogue/keys.py` says of each field what it means and may be.

    name: how users call it; the card's file is called so. kind: "text-to-image", "autoencoder", "lora", ...
    architecture: for people and the planner; networks read their sizes from files. parameters: part -> count.
    sources: repositories that hold it. files: patterns of the files it needs there; empty for the usual diffusers
    layout. download_bytes, commercial: None if unknown. runnable: "" if it runs, else why not yet.
    vae: card of a tiny autoencoder that suits it. folder: of a built-in model, below `nutshell/builtin`.
    path: where a user's own model lies. base: name of the model whose parts it shares. width, height: native size in
    pixels. preview: linear map from a latent cell to its mean colour, one row of (red, green, blue) in 0..1
    for each latent channel and a last one for the offset; empty if unknown. shapes: part -> configuration.
    """

    name: str
    title: str
    licence: str
    kind: str = "text-to-image"
    architecture: str = ""
    commercial: bool | None = None
    runnable: str = ""
    parameters: Mapping[str, int] = field(default_factory=dict, hash=False)
    download_bytes: int | None = None
    sources: tuple[Source, ...] = ()
    files: tuple[str, ...] = ()
    path: str = ""
    folder: str = ""
    base: str = ""
    vae: str = ""
    width: int = 512
    height: int = 512
    steps: int = 20
    guidance: float = 7.5
    sampler: str | None = None
    schedule: str | None = None
    spacing: str | None = None
    prediction: str | None = None
    preview: tuple[tuple[float, ...], ...] = ()
    shapes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    @staticmethod
    def read(name: str, table: Mapping[str, Any]) -> ModelCard:
        """Check a parsed card. Raises ModelError naming card and key, and what is allowed."""
        values: dict[str, Any] = {}
        for key, value in table.items():
            row = BY_NAME.get(key)
            if row is None:
                raise ModelError(
                    tr("the card {name!r} has an unknown key {key!r}", name=name, key=key),
                    tr("known: {names}", names=", ".join(BY_NAME)),
                )
            try:
                values[key] = row.read(value)
            except (ValueError, TypeError, OverflowError) as error:
                raise ModelError(_complaint(name, row, value, error), row.meaning) from None
        missing = [key for key in REQUIRED if key not in table]
        if missing:
            raise ModelError(
                tr("the card {name!r} lacks {names}", name=name, names=", ".join(missing)),
                tr("add the key to the card"),
            )
        return ModelCard(name=name, **values)

    def replace(self, **changes: Any) -> ModelCard:
        """A copy with other values."""
        return ModelCard(**{**self.__dict__, **changes})

    @property
    def all_parameters(self) -> int:
        return sum(self.parameters.values())


def _complaint(name: str, row: Key, value: Any, error: Exception) -> Text:
    # Only our own complaints are sentences; float("x") complains too.
    if isinstance(own := str(error), Text):
        return tr(
            "the card {name!r}: {key} must be {wanted}: {error}", name=name, key=row.name, wanted=row.words, error=own
        )
    return tr(
        "the card {name!r}: {key} must be {wanted}, not {value}",
        name=name,
        key=row.name,
        wanted=row.words,
        value=_shown(value),
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
