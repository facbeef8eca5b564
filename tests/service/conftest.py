"""`serve(worker=..., **options)`: a service on a loopback port, gone after the test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import Served, serving


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as stack:

        def start(worker: Any = None, **options: Any) -> Served:
            return stack.enter_context(serving(tmp_path, worker, **options))

        yield start
