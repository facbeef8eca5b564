"""`openvino`, imported without the telemetry of its Python package.

Its import starts a process that reports to Google Analytics and writes into the home folder; without a network,
the program's end waits up to a second for it. OpenVINO brings a stand-in for machines where the package
`openvino_telemetry` is not installed, and takes it here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

_TELEMETRY = "openvino_telemetry"


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Within the block that package counts as not installed, unless the program that we are part of has it open."""
    if _TELEMETRY in sys.modules:
        yield
        return
    # None is how Python marks a module that cannot be imported; the types do not know that.
    cast("dict[str, object]", sys.modules)[_TELEMETRY] = None
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]


with _without_telemetry():
    import openvino

__all__ = ["openvino"]
