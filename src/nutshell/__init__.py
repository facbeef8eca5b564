"""Nutshell: pictures from sentences on the smallest machine, without PyTorch.

import nutshell

picture = nutshell.load().generate("a red apple", seed=7)
picture.save("apple.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nutshell.pipeline import Model, Picture, Progress, Request, load

__all__ = ["Model", "Picture", "Progress", "Request", "load"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `nutshell --help` and `import nutshell` stay quick.
    if name in __all__:
        import nutshell.pipeline

        return getattr(nutshell.pipeline, name)
    raise AttributeError(f"module 'nutshell' has no attribute {name!r}")
