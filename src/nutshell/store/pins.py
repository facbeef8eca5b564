"""`models.lock.json`: what each model's source held when it was first fetched.

A later pull takes the same commit and the same hashes, from any source, and asks no hub what to fetch; `--update`
takes what the source holds now. The file may be copied to another machine, or kept under version control.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from nutshell.errors import CorruptFile
from nutshell.language import tr
from nutshell.store.disk import write_whole
from nutshell.store.hashing import Digest
from nutshell.store.listing import Listed, Listing
from nutshell.store.manifest import is_sha256

FORMAT = 1
FILE = "models.lock.json"


class Pins:
    """The lock file of a store; every change is written at once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        try:
            table = json.loads(self._path.read_bytes())
            if not isinstance(table, dict) or table.get("format") != FORMAT or not isinstance(table["models"], dict):
                raise ValueError
            self._models: dict[str, Any] = table["models"]
        except FileNotFoundError:
            self._models = {}
        except (ValueError, KeyError, RecursionError) as error:
            raise CorruptFile(
                tr("{path} is damaged", path=self._path), tr("delete it; the next pull asks the hub again")
            ) from error

    def get(self, name: str, asked: dict[str, str]) -> Listing | None:
        """What is pinned for a model, if it is of one of these sources in this revision. asked: source -> revision."""
        entry = self._models.get(name)
        if entry is None:
            return None
        try:
            if asked and asked.get(entry["source"]) not in (entry["asked"], entry["revision"]):
                return None
            files = tuple(_listed(path, row) for path, row in entry["files"].items())
            return Listing(entry["source"], entry["revision"], files)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptFile(
                tr("{path} is damaged at {name}", path=self._path, name=name), tr("use --update to ask the hub again")
            ) from error

    def put(self, name: str, asked: str, listing: Listing) -> Listing:
        """Pin a listing. asked: the revision that the user or the card named. Returns it with every SHA-256 that was
        learnt before, for any model."""
        learnt = {
            row["git"]: row["sha256"]
            for entry in self._models.values()
            for row in entry["files"].values()
            if "git" in row and "sha256" in row
        }
        known = (replace(each, sha256=each.sha256 or learnt.get(each.digest.hex, "")) for each in listing.files)
        listing = replace(listing, files=tuple(known))
        files = {file.path: _row(file) for file in listing.files}
        self._models[name] = {
            "source": listing.source,
            "asked": asked,
            "revision": listing.revision,
            "files": files,
        }
        self._write()
        return listing

    def learn(self, name: str, digest: Digest, sha256: str) -> None:
        """A small file is here, of which only git's name was known: now its SHA-256 is known too."""
        rows = [row for row in self._models[name]["files"].values() if row.get("git") == digest.hex]
        if digest.kind == "git" and any(row.get("sha256") != sha256 for row in rows):
            for row in rows:
                row["sha256"] = sha256
            self._write()

    def digests(self) -> set[str]:
        """Every file of every model, as parts are called."""
        rows = (row for entry in self._models.values() for row in entry["files"].values())
        return {f"git-{row['git']}" if "git" in row else f"sha256-{row['sha256']}" for row in rows}

    def _write(self) -> None:
        table = {"format": FORMAT, "models": self._models}
        write_whole(self._path, (json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())


def _row(file: Listed) -> dict[str, Any]:
    known = {"sha256": file.sha256} if file.sha256 else {}
    return {"size": file.size, **({"git": file.digest.hex} if file.digest.kind == "git" else {}), **known}


def _listed(path: str, row: dict[str, Any]) -> Listed:
    size, sha256, git = row["size"], row.get("sha256", ""), row.get("git", "")
    if not isinstance(size, int) or size < 0 or (sha256 and not is_sha256(sha256)) or not (sha256 or git):
        raise ValueError(path)
    if git and not (isinstance(git, str) and git.isalnum()):
        raise ValueError(path)
    return Listed(path, size, Digest("git", git) if git else Digest("sha256", sha256), sha256)
