"""Two models that are nowhere, for tests of the faces alone."""

from __future__ import annotations

from typing import Any

from nutshell.errors import ModelNotFound
from nutshell.language import tr
from nutshell.service.models import ModelRow, Models, shown_name


class ToyModels(Models):
    default = "artist"

    def __init__(self) -> None:
        """Nothing is looked for."""

    def rows(self) -> list[ModelRow]:
        return [
            ModelRow("artist", "An artist", True, 256, 256, 8, 4.0, "Apache-2.0", "well", 3.0, 300_000_000),
            ModelRow("castles", "Castles", True, 512, 512, 20, 7.5, "", "slowly", 90.0, 2_000_000_000),
        ]

    def resolve(self, name: str | None) -> str:
        if not name or name.startswith(("dall-e", "gpt-image")):
            return "artist"
        if name not in ("artist", "castles"):
            raise ModelNotFound(tr("there is no model named {name!r}", name=name), tr("see /api/models"))
        return name

    def plan(self, name: str, *, width: int | None = None, height: int | None = None, steps: int | None = None) -> Any:
        sizes = {"width": width or 256, "height": height or 256, "steps": steps or 8}
        return {"model": shown_name(self.resolve(name)), **sizes, "verdict": "runs well", "plan": None}
