"""Pairs of scopes that hold the same module in two layouts, and renaming by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """One module under two names. `inner`: its layers there -> here; None where they are called the same."""

    there: str
    here: str
    inner: Mapping[str, str] | None = None

    def reversed(self) -> Module:
        """The same pair, read the other way."""
        inner = None if self.inner is None else {here: there for there, here in self.inner.items()}
        return Module(self.here, self.there, inner)


def renaming(modules: Iterable[Module]) -> Callable[[str], str | None]:
    """A function from a tensor's name there to its name here, None for a name of no module."""
    known = {module.there: module for module in modules}

    def rename(name: str) -> str | None:
        scope = name
        while scope:
            scope = scope.rpartition(".")[0]
            module = known.get(scope)
            if module is None:
                continue
            rest = name[len(scope) + 1 :]
            if module.inner is None:
                return f"{module.here}.{rest}"
            layer, _, leaf = rest.rpartition(".")
            return f"{module.here}.{module.inner[layer]}.{leaf}" if layer in module.inner else None
        return None

    return rename
