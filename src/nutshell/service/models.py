"""The models that can be asked for, and what this machine makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelRow:
    """name: what a wish calls it. title: for people. here: whether it can be drawn with now, without a download.

    verdict: "well", "slowly", "too large" or "not yet", None where it was not estimated. seconds: for one picture of
    the native size; peak_bytes: of memory.
    """

    name: str
    title: str
    here: bool
    width: int
    height: int
    steps: int
    guidance: float
    licence: str
    verdict: str | None = None
    seconds: float | None = None
    peak_bytes: int | None = None


class Models:
    """Knows the models of this machine's places. Methods may take a second the first time: call them in a thread."""

    @property
    def default(self) -> str:
        """The model that is drawn with where none is named."""
        raise NotImplementedError

    def rows(self) -> list[ModelRow]:
        """Every model that is here, the default first."""
        raise NotImplementedError

    def resolve(self, name: str | None) -> str:
        """The name to put into a wish. None, and names of hosted models such as "dall-e-3", mean the default.

        Raises ModelNotFound.
        """
        raise NotImplementedError

    def plan(self, name: str, *, width: int | None = None, height: int | None = None, steps: int | None = None) -> Any:
        """How it would be drawn here, as `nutshell plan --json` tells it. Raises NutshellError."""
        raise NotImplementedError
