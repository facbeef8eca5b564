"""How much disk the packages take that a row needs, with everything they require in turn."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_REPOSITORY = Path(__file__).parents[1]


def installed_bytes(packages: Iterable[str]) -> int | None:
    """Bytes of `packages` and all that they require; None if one of them is not installed."""
    roots = [requirement for name in packages for requirement in _unfolded(name)]
    try:
        return sum(_bytes(name) for name in _closure(roots)) + (_own_bytes() if "nutshell" in packages else 0)
    except metadata.PackageNotFoundError:
        return None


def _unfolded(name: str) -> list[str]:
    """Nutshell may run from its source tree: its requirements are read from there."""
    if name != "nutshell":
        return [name]
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [found for line in project["dependencies"] if (found := _needed(line))]


def _closure(roots: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        waiting += [needed for line in metadata.requires(name) or () if (needed := _needed(line))]
    return found


def _needed(requirement: str) -> str | None:
    """The package that a requirement names, None where its marker does not hold here."""
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    holds = parsed.marker is None or parsed.marker.evaluate({"extra": ""})
    return parsed.name if holds else None


def _bytes(name: str) -> int:
    files = metadata.files(name) or ()
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())


def _own_bytes() -> int:
    source = _REPOSITORY / "src" / "nutshell"
    return sum(path.stat().st_size for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc")
