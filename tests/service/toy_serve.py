"""The command line whose service draws with the toy worker: python tests/service/toy_serve.py serve ...

TOY_SECONDS: how long a step takes. TOY_GRACE: how long a stop waits for one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from nutshell.cli.main import main
from nutshell.service import open as opening
from nutshell.service.models import Models
from tests.service.toy import ToyWorker


class OneModel(Models):
    """Knows the model that is asked for."""

    def __init__(self) -> None: ...

    @property
    def default(self) -> str:
        return "artist"

    def rows(self) -> list[Any]:
        return []

    def resolve(self, name: str | None) -> str:
        return name or self.default


def make_worker(*_: object) -> ToyWorker:
    return ToyWorker(step_seconds=float(os.environ.get("TOY_SECONDS", "0")))


if __name__ == "__main__":
    opening.make_worker = make_worker  # type: ignore[assignment]
    opening.GRACE_SECONDS = float(os.environ.get("TOY_GRACE", opening.GRACE_SECONDS))
    opening.make_models = lambda *_: OneModel()  # type: ignore[assignment]
    sys.exit(main())
