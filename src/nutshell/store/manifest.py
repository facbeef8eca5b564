"""What a model consists of: one small JSON file per model, `manifests/<name>.json`.

{"format": 1, "name": "tiny-sd", "source": "hf:segmind/tiny-sd", "revision": "cad0bd…", "licence": "…",
 "files": {"unet/config.json": {"sha256": "…", "size": 1234}, …}}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from nutshell.errors import CorruptFile, NutshellError
from nutshell.language import tr
from nutshell.store.names import check_name, check_paths

FORMAT = 1
_HEX = re.compile(r"[0-9a-f]{64}")


def origin_text(source: str, revision: str) -> str:
    """`hf:owner/name@1234567`; a commit is cut to what people compare."""
    return f"{source}@{revision[:7]}" if revision and source else source


@dataclass(frozen=True)
class StoredFile:
    """path: inside the model, with forward slashes. sha256: of its bytes, 64 hexadecimal digits. size: in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """One model. source: where it came from (`hf:owner/name`, `ms:owner/name`, a folder); revision: the commit
    there, "" where there is none; licence: SPDX id or the licence's own name, "" if unknown."""

    name: str
    files: tuple[StoredFile, ...]
    source: str = ""
    revision: str = ""
    licence: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_json(self) -> bytes:
        files = {file.path: {"sha256": file.sha256, "size": file.size} for file in self.files}
        head = {"format": FORMAT, "name": self.name, "source": self.source, "revision": self.revision}
        table = {**head, "licence": self.licence, "files": files}
        return (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_json(raw: bytes, origin: str) -> Manifest:
        """Check everything; a manifest may come from a stick or a bundle. Raises CorruptFile naming `origin`."""
        try:
            return Manifest.from_table(json.loads(raw), origin)
        except (ValueError, RecursionError) as error:
            raise _no_manifest(origin) from error

    @staticmethod
    def from_table(table: Any, origin: str) -> Manifest:
        """`from_json` for what is parsed already."""
        try:
            if table["format"] != FORMAT:
                raise CorruptFile(
                    tr(
                        "{origin} is of format {table!r}, not {format}",
                        origin=origin,
                        table=table["format"],
                        format=FORMAT,
                    ),
                    tr("update nutshell"),
                )
            files = tuple(_stored(path, entry) for path, entry in table["files"].items())
            words = {key: table.get(key, "") for key in ("source", "revision", "licence")}
            if not files or not all(isinstance(word, str) and word.isprintable() for word in words.values()):
                raise ValueError
            check_paths((file.path for file in files), origin)
            return Manifest(check_name(table["name"]), files, **words)
        except CorruptFile:
            raise
        except NutshellError as error:
            raise CorruptFile(tr("{origin} is no manifest: {error}", origin=origin, error=error), error.hint) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _no_manifest(origin) from error


def is_sha256(text: Any) -> TypeGuard[str]:
    """Whether this is a SHA-256 in 64 lower-case hexadecimal digits; anything else never becomes a file name."""
    return isinstance(text, str) and _HEX.fullmatch(text) is not None


def _no_manifest(origin: str) -> CorruptFile:
    return CorruptFile(tr("{origin} is no manifest of a model", origin=origin), tr("pull or import the model again"))


def _stored(path: str, entry: Any) -> StoredFile:
    sha256, size = entry["sha256"], entry["size"]
    if not is_sha256(sha256) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError
    return StoredFile(path, sha256, size)
