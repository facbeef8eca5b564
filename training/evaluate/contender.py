"""What is to be measured: a model and how it draws, as told on the command line.

    [LABEL=]MODEL[:OPTION,OPTION,...]

MODEL is a built-in name, a folder or a file. The options are steps=N, guidance=X, sampler=NAME, engine=NAME,
precision=NAME and int8; what is not said is as the model's card says. "turbo8=out/turbo:steps=4,guidance=1,int8".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from nutshell.errors import UsageError
from nutshell.store import find

_KINDS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "steps": (int, "a whole number"),
    "guidance": (float, "a number"),
    "sampler": (str, "a name"),
    "engine": (str, "a name"),
    "precision": (str, "a name"),
}
_PER_PICTURE = ("steps", "guidance", "sampler")
_SHAPE = "[LABEL=]MODEL[:OPTION,...]"


@dataclass(frozen=True)
class Contender:
    """A model and how it draws; None is as its card says. `int8`: in eight bits, by scales observed beforehand."""

    label: str
    model: str
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    engine: str | None = None
    precision: str | None = None
    int8: bool = False

    @property
    def request(self) -> dict[str, Any]:
        """What is said of the drawing, as arguments for `Model.generate`."""
        return {name: value for name in _PER_PICTURE if (value := getattr(self, name)) is not None}

    @property
    def settings(self) -> dict[str, Any]:
        """All that is said but the label."""
        said = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "label"}
        return {name: value for name, value in said.items() if value is not None and value is not False}

    def with_defaults(self, **defaults: Any) -> Contender:
        """The same with these where it says nothing itself."""
        return replace(self, **{name: value for name, value in defaults.items() if getattr(self, name) is None})

    def folder_name(self) -> str:
        """Label and a hash of the settings, the model's files and card: another one wherever pictures may differ.

        Raises `ModelNotFound`.
        """
        found = find(self.model)
        files = [file for place in (found.path, found.base) if place for file in _files(place)]
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        digest = hashlib.sha256(repr((self.settings, stats, found.card)).encode()).hexdigest()
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', self.label)}-{digest[:8]}"


def parse(text: str) -> Contender:
    """One MODEL of the command line. Raises `UsageError` that says what is wrong with it."""
    place, _, said = text.partition(":")
    label, named, model = place.partition("=") if "=" in place else ("", "", place)
    if not model or (named and not label):
        raise UsageError(f"{text!r} names no {'label' if model else 'model'}", f"write {_SHAPE}")
    options = [_option(one.strip(), text) for one in said.split(",")] if said else []
    return Contender(label or Path(model).name + (f":{said}" if said else ""), model, **dict(options))


def parse_all(texts: Sequence[str]) -> list[Contender]:
    """Every MODEL; raises `UsageError` for two with one label."""
    contenders = [parse(text) for text in texts]
    labels = [one.label for one in contenders]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise UsageError(f"two models are called {twice[0]!r}", f"give them labels: {_SHAPE}")
    return contenders


def _files(place: Path) -> list[Path]:
    return sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]


def _option(text: str, whole: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if text == "int8":
        return name, True
    if name not in _KINDS:
        raise UsageError(f"{whole!r} has an unknown option {name!r}", f"known: {', '.join(_KINDS)}, int8")
    kind, words = _KINDS[name]
    try:
        if not value:
            raise ValueError(value)
        return name, kind(value)
    except ValueError:
        raise UsageError(f"{whole!r}: {name} has to be {words}, not {value!r}", f"write {_SHAPE}") from None
