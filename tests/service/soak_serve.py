"""The command line whose worker process paints without an engine: python tests/service/soak_serve.py serve ..."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from nutshell.cli.main import main
from nutshell.service import open as opening
from nutshell.service.options import ServiceOptions
from tests.service.toy_serve import OneModel
from tests.service.workers import toy_worker


def make_worker(settings: object, options: ServiceOptions) -> object:
    return toy_worker(keep_alive_seconds=options.keep_alive_seconds)


if __name__ == "__main__":
    opening.make_worker = make_worker  # type: ignore[assignment]
    opening.make_models = lambda *_: OneModel()  # type: ignore[assignment]
    sys.exit(main())
