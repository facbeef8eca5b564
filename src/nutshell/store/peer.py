"""Another Nutshell on the local network: its blobs by their hash, its models by their manifests.

    GET /blobs/sha256-<hex>      with Range
    GET /manifests/<name>.json

`serve` answers these. The connection need not be trusted: every byte is held to a hash, and a pinned model to the
hashes that are pinned.
"""

from __future__ import annotations

import contextlib

from nutshell.store.download import Offer
from nutshell.store.hashing import Digest
from nutshell.store.listing import Listed, Listing, same
from nutshell.store.manifest import Manifest
from nutshell.store.names import folder_name
from nutshell.store.web import Body, Web


class Peer:
    """url: where it answers, such as http://192.168.1.20:8188."""

    asked = None

    def __init__(self, web: Web, url: str, name: str) -> None:
        self.source = self.where = url.rstrip("/")
        self._web, self._name = web, name
        self._listed: Listing | None = None

    def listing(self) -> Listing:
        url = f"{self.source}/manifests/{folder_name(self._name)}.json"
        manifest = Manifest.from_table(self._web.json(url)[0], url)
        files = (Listed(file.path, file.size, Digest("sha256", file.sha256), file.sha256) for file in manifest.files)
        return Listing(manifest.source or self.source, manifest.revision, tuple(files))

    def offer(self, file: Listed, listing: Listing) -> Offer:
        return Offer(self.where, lambda start: self._open(file, start))

    def _open(self, file: Listed, start: int) -> contextlib.AbstractContextManager[Body]:
        if not file.sha256:
            self._listed = self._listed or self.listing()
            file = same(file, self._listed)
        return self._web.open(f"{self.source}/blobs/sha256-{file.sha256}", start)
