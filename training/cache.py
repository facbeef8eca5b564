"""Where downloads, drawn scenes, latents and checkpoints lie while training. Nothing of it is in the repository."""

from __future__ import annotations

from pathlib import Path

DEFAULT_CACHE = Path.home() / ".cache" / "nutshell-training"
