"""The prompts that a model is watched on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path


def packaged_prompts() -> list[str]:
    """Sixteen, English and Chinese in turns, so that the first few are of both."""
    lines = Path(__file__).with_name("prompts.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def prompts_hash(prompts: Sequence[str]) -> str:
    """SHA-256 of the prompts, one a line."""
    return hashlib.sha256("".join(f"{prompt}\n" for prompt in prompts).encode()).hexdigest()
