"""What a repository holds, and which of it a model needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nutshell.errors import FetchError, ModelError, PickleRefused, UsageError
from nutshell.language import join, tr
from nutshell.store.hashing import Digest
from nutshell.store.names import check_paths

INDEX = "model_index.json"
# A model's calibration card: without it, it would draw in eight bits here and not where it is taken.
CALIBRATION = "calibration.json"
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
# Parts of a diffusers folder that only look at finished pictures or at pictures to start from.
_UNUSED = ("safety_checker", "feature_extractor")
_WEIGHTS = re.compile(r"(?P<stem>[^/.]+)(?:\.(?P<variant>\w+))??(?:-\d+-of-\d+)?\.safetensors"
                      r"(?:\.index(?:\.(?P<late>\w+))?\.json)?")  # fmt: skip
_VARIANTS = ("fp16", "bf16", None)  # preferred first; None is the plain name


@dataclass(frozen=True)
class Listed:
    """One file. size: in bytes. digest: what its bytes must hash to. sha256: "" where only git's name is known."""

    path: str
    size: int
    digest: Digest
    sha256: str = ""


@dataclass(frozen=True)
class Listing:
    """source: `hf:owner/name`, `ms:owner/name` or a folder. revision: the commit, "" if there is none."""

    source: str
    revision: str
    files: tuple[Listed, ...]


def select(listing: Listing, patterns: Sequence[str] = ()) -> tuple[Listed, ...]:
    """The files that a model needs: those that match, or of the usual layouts what is used.

    Raises ModelError for what cannot be used and for unsafe names, UsageError where a choice is needed.
    """
    paths = {file.path: file for file in listing.files}
    if patterns:
        chosen = {path for path in paths for pattern in patterns if fnmatchcase(path, pattern)}
        idle = [pattern for pattern in patterns if not any(fnmatchcase(path, pattern) for path in paths)]
        if idle:
            raise ModelError(
                tr("{source} has no file {idle}", source=listing.source, idle=idle[0]),
                tr("the model's card may be out of date"),
            )
    else:
        chosen = _folder(paths) if INDEX in paths else _loose(paths, listing.source)
    if not any(path.endswith(".safetensors") for path in chosen):
        if any(path.endswith(PICKLES) for path in paths):
            raise PickleRefused(
                tr(
                    "{source} holds its weights in pickles only, and loading one runs code from the file",
                    source=listing.source,
                ),
                tr("look for a repository that has .safetensors files"),
            )
        raise ModelError(
            tr("{source} holds no .safetensors weights", source=listing.source),
            tr("this is no model that can be used here"),
        )
    check_paths(sorted(chosen), listing.source)
    return tuple(paths[path] for path in sorted(chosen))


def same(file: Listed, listing: Listing) -> Listed:
    """The file with the same bytes in another listing. One of which only git's name is known there or here is taken
    by its path and size, and found out later if it is another. Raises FetchError."""
    for other in listing.files:
        if other.sha256 == file.sha256 if other.sha256 and file.sha256 else other.digest == file.digest:
            return other
    for other in listing.files:
        if (other.path, other.size) == (file.path, file.size) and not (other.sha256 and file.sha256):
            return other
    raise FetchError(
        tr("{source} has no {path} with the same content", source=listing.source, path=file.path),
        tr("try another source"),
    )


def _folder(paths: Iterable[str]) -> set[str]:
    """The diffusers layout: each part's settings, words and weights, in half precision where it is there."""
    chosen: set[str] = set()
    weights: dict[str, dict[str | None, set[str]]] = {}
    for path in paths:
        part, _, name = path.partition("/")
        if path in (INDEX, CALIBRATION) or _is_licence(path):
            chosen.add(path)
        elif "/" in name or not name or part in _UNUSED:
            continue
        elif match := _WEIGHTS.fullmatch(name):
            variant = match["variant"] or match["late"]
            weights.setdefault(part, {}).setdefault(variant, set()).add(path)
        elif name.endswith((".json", ".txt", ".model")):
            chosen.add(path)
    for by_variant in weights.values():
        best = next((variant for variant in _VARIANTS if variant in by_variant), None)
        chosen |= by_variant.get(best, set())
    return chosen


def _loose(paths: Iterable[str], source: str) -> set[str]:
    """A part by itself (config.json and weights), or a single checkpoint."""
    here = [path for path in paths if "/" not in path]
    weights = [path for path in here if path.endswith(".safetensors")]
    licences = {path for path in here if _is_licence(path)}
    if "config.json" in here:
        whole = [path for path in weights if _WEIGHTS.fullmatch(path) and path.startswith(("diffusion_", "model."))]
        weights = whole or weights
        licences.add("config.json")
    if len(weights) > 1:
        raise UsageError(
            tr(
                "{source} holds several models: {weights}",
                source=source,
                weights=join(", ", [*sorted(weights)[:4], *(["..."] if len(weights) > 4 else [])]),
            ),
            tr("write a card for it that names the one you want in `files` (docs/reference/cards.md)"),
        )
    return licences | set(weights)


def _is_licence(path: str) -> bool:
    return path.upper().startswith(("LICENSE", "LICENCE")) and "/" not in path
