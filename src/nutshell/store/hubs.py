"""The two hubs: how their repositories are listed and their files are addressed.

Hugging Face: https://huggingface.co/docs/hub/api. A listing gives for a large file its SHA-256 (`lfs.oid`) and for a
small one git's name of the blob (`oid`); pages are linked by the header Link. Mirrors speak the same.
ModelScope: as its own client does (modelscope/hub/api.py). A listing gives every file's SHA-256.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, TypeGuard
from urllib.parse import quote, urlsplit

from nutshell.errors import FetchError
from nutshell.language import tr
from nutshell.store.download import Offer
from nutshell.store.hashing import Digest
from nutshell.store.listing import Listed, Listing, same
from nutshell.store.manifest import is_sha256
from nutshell.store.web import Body, Missing, Web

HUGGINGFACE = "https://huggingface.co"
MODELSCOPE = "https://www.modelscope.cn"
_MOST_PAGES = 100
_SHA1 = re.compile(r"[0-9a-f]{40}")


class _Hub:
    """What both have in common: a file comes from the pinned revision, or from one that holds the same bytes."""

    def __init__(self, web: Web, repo: str, revision: str, endpoint: str) -> None:
        self.asked = revision
        self.where = _host(endpoint)
        self._web, self._repo, self._endpoint = web, repo, endpoint.rstrip("/")
        self._listed: Listing | None = None

    source = ""

    def listing(self) -> Listing:
        """What the repository holds now. Raises FetchError."""
        try:
            return self._ask()
        except Missing as error:
            raise FetchError(
                tr(
                    "{where} has no repository {repo} with a revision {asked}",
                    where=self.where,
                    repo=self._repo,
                    asked=self.asked,
                ),
                tr("check the name; the repository may have moved, or want an account"),
            ) from error

    def _ask(self) -> Listing:
        raise NotImplementedError

    def url(self, path: str, revision: str) -> str:
        raise NotImplementedError

    def offer(self, file: Listed, listing: Listing) -> Offer:
        """The file of that listing, which need not be of this hub."""
        return Offer(self.where, lambda start: self._open(file, listing, start))

    def _open(self, file: Listed, listing: Listing, start: int) -> contextlib.AbstractContextManager[Body]:
        if listing.source == self.source:
            path, revision = file.path, listing.revision
        else:
            self._listed = self._listed or self.listing()
            path, revision = same(file, self._listed).path, self._listed.revision
        return self._web.open(self.url(path, revision), start, self.token)

    token = ""


class HuggingFace(_Hub):
    """A repository on Hugging Face, or on a mirror of it at `endpoint`. token: for gated models, sent there only."""

    def __init__(self, web: Web, repo: str, revision: str, endpoint: str = HUGGINGFACE, token: str = "") -> None:
        super().__init__(web, repo, revision, endpoint)
        self.source = f"hf:{repo}"
        self.token = token

    def _ask(self) -> Listing:
        api = f"{self._endpoint}/api/models/{self._repo}"
        commit: Any = self.asked
        if not _is_commit(commit):
            # A branch moves; the commit is what can be pinned.
            found, _ = self._web.json(f"{api}/revision/{quote(self.asked, safe='')}", self.token)
            commit = found.get("sha") if isinstance(found, dict) else None
            if not _is_commit(commit):
                raise _strange(self._endpoint)
        files: list[Listed] = []
        url = f"{api}/tree/{commit}?recursive=true"
        for _ in range(_MOST_PAGES):
            rows, url = self._web.json(url, self.token if url.startswith(f"{self._endpoint}/") else "")
            if not isinstance(rows, list):
                raise _strange(self._endpoint)
            files += (_hugging_face_row(row, self._endpoint) for row in rows if _is_file(row, "type", "file"))
            if not url:
                return Listing(self.source, commit, tuple(files))
        raise FetchError(tr("{endpoint} sends an endless listing", endpoint=self._endpoint), tr("try another source"))

    def url(self, path: str, revision: str) -> str:
        """Large files are redirected from here to a signed address in a storage elsewhere."""
        return f"{self._endpoint}/{self._repo}/resolve/{quote(revision, safe='')}/{quote(path)}"


class ModelScope(_Hub):
    """A repository on ModelScope. A branch is listed as it is now: its files are held to their own hashes."""

    def __init__(self, web: Web, repo: str, revision: str, endpoint: str = MODELSCOPE) -> None:
        super().__init__(web, repo, revision, endpoint)
        self.source = f"ms:{repo}"

    def _ask(self) -> Listing:
        query = f"Revision={quote(self.asked, safe='')}&Recursive=true"
        answer, _ = self._web.json(f"{self._endpoint}/api/v1/models/{self._repo}/repo/files?{query}")
        try:
            rows = answer["Data"]["Files"]
            files = tuple(_modelscope_row(row, self._endpoint) for row in rows if _is_file(row, "Type", "blob"))
        except (KeyError, TypeError):
            raise _strange(self._endpoint) from None
        return Listing(self.source, self.asked, files)

    def url(self, path: str, revision: str) -> str:
        query = f"Revision={quote(revision, safe='')}&FilePath={quote(path, safe='')}"
        return f"{self._endpoint}/api/v1/models/{self._repo}/repo?{query}"


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).netloc.rpartition("@")[2] or endpoint


def _is_file(row: Any, key: str, word: str) -> bool:
    return isinstance(row, dict) and row.get(key) == word


def _hugging_face_row(row: dict[str, Any], endpoint: str) -> Listed:
    lfs = row.get("lfs") or {}
    path, size = row.get("path"), row.get("size")
    large, small = lfs.get("oid"), row.get("oid")
    if isinstance(path, str) and _is_size(size):
        if is_sha256(large):
            return Listed(path, size, Digest("sha256", large), large)
        if not lfs and _is_commit(small):
            return Listed(path, size, Digest("git", small))
    raise _strange(endpoint)


def _modelscope_row(row: dict[str, Any], endpoint: str) -> Listed:
    path, size, sha256 = row.get("Path"), row.get("Size"), row.get("Sha256")
    if isinstance(path, str) and _is_size(size) and is_sha256(sha256):
        return Listed(path, size, Digest("sha256", sha256), sha256)
    raise _strange(endpoint)


def _is_size(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_commit(value: Any) -> TypeGuard[str]:
    """A SHA-1 in hexadecimal, as git names commits and blobs."""
    return isinstance(value, str) and _SHA1.fullmatch(value) is not None


def _strange(endpoint: str) -> FetchError:
    return FetchError(
        tr("{endpoint} answered with something that is no listing", endpoint=endpoint),
        tr("update nutshell, or try another hub"),
    )
