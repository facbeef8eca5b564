"""Giving freed memory back to the system."""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_LARGE_BLOCK = 1 << 20


def trim_heap() -> None:
    """Hand the free heap back to the system: glibc keeps it otherwise, elsewhere there is nothing to do."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        # Windows has no C library under the name None (TypeError), musl and macOS no malloc_trim.
        ctypes.CDLL(None).malloc_trim(0)


def return_large_blocks() -> None:
    """From now on blocks of a megabyte and more go back to the system as soon as they are freed.

    glibc does so from 128 KB on, but at every larger block that is freed it raises the limit, up to 32 MB: a pass
    with weights widened piece by piece then leaves a heap in shreds, 440 MB in place of 150.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
