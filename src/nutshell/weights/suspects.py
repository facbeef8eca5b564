"""What a file is when it is not the safetensors file it should be, told from its first bytes.

Most "corrupt" weights are something else altogether: a login page saved as a model, a Git LFS pointer,
a pickle. Saying which spares the user the search.
"""

from __future__ import annotations

from pathlib import Path

from nutshell.errors import CorruptFile, ModelError, PickleRefused, UnsupportedModel
from nutshell.language import Text, tr

PICKLE_SUFFIXES = frozenset({".ckpt", ".bin", ".pt", ".pth", ".pkl", ".pickle"})
HEAD_BYTES = 512  # enough to tell

_AGAIN = tr("download it again")
_LFS = tr("Git LFS left a pointer here instead of the file: run `git lfs pull`, or download the file itself")
_HTML = tr(
    "the server answered with a page (a login, a licence or an error): open the address in a browser, then retry"
)
_CONVERT = tr(
    "look for the .safetensors variant of the same model; or, on a machine with PyTorch, convert "
    "it: w = torch.load(FILE, weights_only=True); w = w.get('state_dict', w); "
    "safetensors.torch.save_file({k: v.contiguous() for k, v in w.items()}, 'model.safetensors')"
)

# first bytes -> (what it is, hint)
_LOOKS: tuple[tuple[bytes, Text, Text], ...] = (
    (b"version https://git-lfs", tr("a Git LFS pointer"), _LFS),
    (b"\x1f\x8b", tr("a gzip archive"), tr("unpack it first")),
    (b"7z\xbc\xaf\x27\x1c", tr("a 7z archive"), tr("unpack it first")),
    (b"Rar!", tr("a RAR archive"), tr("unpack it first")),
    (b"\x89PNG", tr("a PNG picture"), _AGAIN),
    (b"\xff\xd8\xff", tr("a JPEG picture"), _AGAIN),
    (b"\x89HDF\r\n", tr("a Keras/HDF5 file"), tr("look for the .safetensors variant of the model")),
)


def pickle_refused(path: Path) -> PickleRefused:
    """The error for a checkpoint that only unpickling could read."""
    return PickleRefused(
        tr(
            "{path} is a pickle checkpoint, and loading one runs whatever code the file brings: it is never opened",
            path=path,
        ),
        hint=_CONVERT,
    )


def refuse_by_name(path: Path) -> None:
    """Raise PickleRefused where the name alone promises a pickle."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise pickle_refused(path)


def what_else(path: Path, head: bytes, size: int) -> ModelError | None:
    """The error that says what `head` (the first bytes of a file of `size` bytes) shows, or None."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if size == 0:
        return CorruptFile(
            tr("{path} is empty", path=path), hint=tr("the download stopped before it began: {again}", again=_AGAIN)
        )
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or _is_pickle(head):
        return pickle_refused(path)
    if head.startswith(b"GGUF"):
        return UnsupportedModel(
            tr("{path} is a GGUF file, which cannot be read yet", path=path), tr("use the .safetensors variant")
        )
    for magic, what, hint in _LOOKS:
        if head.startswith(magic):
            return CorruptFile(tr("{path} is {what}, not a safetensors file", path=path, what=what), hint)
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return CorruptFile(tr("{path} is a web page, not a safetensors file", path=path), _HTML)
    if text.startswith((b"{", b"[")):
        return CorruptFile(tr("{path} is a JSON text, not a safetensors file", path=path), _HTML)
    if not head.strip(b"\0"):
        return CorruptFile(
            tr("{path} begins with nothing but zeros: room was reserved but not filled", path=path), _AGAIN
        )
    return None


def _is_pickle(head: bytes) -> bool:
    """PROTO opcode with a known protocol. A safetensors header length may begin so too, but then "{" follows."""
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5 and head[8:9] != b"{"
