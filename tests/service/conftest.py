"""`serve(worker=..., **options)`: a service on a loopback port, gone after the test; `served`: one for a whole file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import Served, serving


@pytest.fixture(scope="module")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def served(_kept: Served) -> Served:
    """A service for all tests of a file that do without their own. What was drawn before is forgotten."""
    _kept.worker.drawn.clear()
    return _kept


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as stack:

        def start(worker: Any = None, **options: Any) -> Served:
            return stack.enter_context(serving(tmp_path, worker, **options))

        yield start
