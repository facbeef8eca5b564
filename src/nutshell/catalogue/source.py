"""Where a model can be fetched: a repository on one of the hubs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nutshell.language import tr

# Hub -> the revision that its repositories begin with.
HUBS: dict[str, str] = {"huggingface": "main", "modelscope": "master"}

_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_REPO = re.compile(rf"{_WORD}/{_WORD}")
_REVISION = re.compile(rf"{_WORD}(?:/{_WORD})*")


@dataclass(frozen=True)
class Source:
    """hub: "huggingface" or "modelscope". repo: "owner/name". revision: a branch, tag or commit."""

    hub: str
    repo: str
    revision: str

    @staticmethod
    def read(table: Any) -> Source:
        """Check a parsed [[sources]] table. Raises ValueError: repository names end up in addresses."""
        if not isinstance(table, Mapping) or not {"hub", "repo"} <= set(table) <= {"hub", "repo", "revision"}:
            raise ValueError(tr("a source has hub, repo and, if not the usual one, revision"))
        hub, repo = table["hub"], table["repo"]
        if hub not in HUBS:
            raise ValueError(tr("a hub is one of {names}, not {hub!r}", names=", ".join(HUBS), hub=hub))
        revision = table.get("revision", HUBS[hub])
        if not isinstance(repo, str) or not _REPO.fullmatch(repo) or ".." in repo:
            raise ValueError(tr("a repo is written owner/name, not {repo!r}", repo=repo))
        if not isinstance(revision, str) or not _REVISION.fullmatch(revision) or ".." in revision:
            raise ValueError(tr("a revision is a branch, a tag or a commit, not {revision!r}", revision=revision))
        return Source(hub, repo, revision)
