"""Pictures as text, the way web UIs send them."""

from __future__ import annotations

import base64
import binascii

from nutshell.errors import UsageError
from nutshell.language import tr


def decoded(field: str, text: str) -> bytes:
    """The bytes of base64, with or without a `data:image/...;base64,` before it. Raises UsageError."""
    if text.startswith(("http:", "https:")):
        raise UsageError(
            tr("{field}: pictures are not fetched from addresses", field=field),
            tr("send the picture itself, in base64"),
            field=field,
        )
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        # Line breaks are usual in base64; nothing else is skipped.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(
            tr("{field} is not base64", field=field), tr("send a PNG, JPEG or WebP file in base64"), field=field
        ) from error


def encoded(data: bytes) -> str:
    """Base64 without a prefix."""
    return base64.b64encode(data).decode("ascii")
