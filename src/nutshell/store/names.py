"""Names of models, and paths of files inside them, that are safe on every file system.

Listings, manifests and bundles come from elsewhere. A path in them may never leave the model's folder, and must mean
the same file on Linux, on Windows and on a FAT stick; so everything that any of them would read differently is
refused. Reserved names: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nutshell.errors import ModelError, UsageError
from nutshell.language import tr

LONGEST_NAME = 120
LONGEST_PATH = 240  # characters; FAT allows 255 in one name, Windows 260 in a whole path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@:/-]*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789")}
_FORBIDDEN = set('<>:"|?*\\')


def check_name(name: str) -> str:
    """A model's name: a card's (`tiny-sd`) or a repository (`hf:owner/name@revision`). Raises UsageError."""
    plain = len(name) <= LONGEST_NAME and _NAME.fullmatch(name)
    if not plain or _bad_part(folder_name(name)) or any(part in ("", ".", "..") for part in re.split("[:/]", name)):
        raise UsageError(
            tr("{name!r} is no name of a model", name=name), tr("use a name such as tiny-sd, or hf:owner/name")
        )
    return name


def folder_name(name: str) -> str:
    """What a model's folder and manifest are called: `hf:owner/name` -> `hf--owner--name`."""
    return name.replace(":", "--").replace("/", "--")


def check_path(path: str, owner: str) -> str:
    """A relative path with forward slashes that stays inside its folder. Raises ModelError naming `owner`."""
    if not path or len(path) > LONGEST_PATH or any(_bad_part(part) for part in path.split("/")):
        raise ModelError(
            tr("{owner} lists a file with an unsafe name, {path!r}", owner=owner, path=path[:80]),
            tr("do not use it, and tell who made it"),
        )
    return path


def check_paths(paths: Iterable[str], owner: str) -> None:
    """`check_path` for each, and no two that one file system would take for the same, or for file and folder."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        key = check_path(path, owner).casefold()
        parents = [key[:place] for place, char in enumerate(key) if char == "/"]
        clash = seen.get(key) or folders.get(key) or next((seen[each] for each in parents if each in seen), None)
        if clash is not None:
            raise ModelError(
                tr(
                    "{owner} lists {clash!r} and {path!r}, which are one name on some disks",
                    owner=owner,
                    clash=clash,
                    path=path,
                ),
                tr("do not use it, and tell who made it"),
            )
        seen[key] = path
        folders.update(dict.fromkeys(parents, path))


def _bad_part(part: str) -> bool:
    return (
        part in ("", ".", "..")
        or part.endswith((" ", "."))
        or part.split(".")[0].rstrip().lower() in _RESERVED
        or any(char in _FORBIDDEN or not char.isprintable() for char in part)
    )
