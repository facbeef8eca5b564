"""What a command of `bench` takes where an option was not given."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any


def fill(options: argparse.Namespace, usual: Mapping[str, Any]) -> argparse.Namespace:
    """`options`, with the usual value in the place of every None."""
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options
