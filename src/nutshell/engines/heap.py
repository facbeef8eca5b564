"""Giving freed memory back to the system."""

from __future__ import annotations

import contextlib
import ctypes


def trim_heap() -> None:
    """Hand the free heap back to the system: glibc keeps it otherwise, elsewhere there is nothing to do."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        # Windows has no C library under the name None (TypeError), musl and macOS no malloc_trim.
        ctypes.CDLL(None).malloc_trim(0)
