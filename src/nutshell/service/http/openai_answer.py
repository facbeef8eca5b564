"""Pictures in the form that clients of OpenAI's API asked for."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from nutshell.pipeline.parameters import encoded
from nutshell.service.gallery import Gallery, Item
from nutshell.service.http.openai_shapes import Output

# Nothing is counted in tokens here, and nothing is billed; clients want the numbers all the same.
USAGE = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
}
ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}


def pictures_json(gallery: Gallery, ids: Sequence[str], output: Output, base_url: str, created: float) -> Any:
    """What an answer without a stream holds. Blocks. base_url: of this server, as the client reaches it."""
    items = [item for item in map(gallery.get, ids) if item is not None]
    data = [_entry(gallery, item, output, base_url) for item in items]
    content = {
        "created": int(created),
        "data": [entry for entry in data if entry is not None],
        "background": output.background,
        "output_format": output.form,
        "usage": USAGE,
    }
    if output.quality != "auto":
        content["quality"] = output.quality
    if items:
        content["size"] = f"{items[0].width}x{items[0].height}"
    return content


def picture_bytes(gallery: Gallery, item: Item, output: Output) -> bytes | None:
    """The file in the form that was asked for; None where it is gone. Blocks."""
    png = gallery.read(item.id)
    if png is None or output.form == "png":
        return png
    return in_form(png, item.parameters, output.form, output.compression)


def in_form(png: bytes, parameters: Mapping[str, Any], form: str, quality: int | None = None) -> bytes:
    """A PNG as jpeg or webp, with its parameters. quality: 0 to 100, None: the format's usual. Raises OutputError."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        # Pillow takes qualities from 1 on.
        return encoded(image, parameters, form.upper(), None if quality is None else max(1, quality))


def partial_bytes(preview: bytes, size: tuple[int, int] | None, form: str) -> bytes:
    """A preview as a whole picture of that size: clients lay them over each other. Blocks."""
    with Image.open(io.BytesIO(preview), formats=("JPEG",)) as image:
        whole = image if size is None else image.resize(size, Image.Resampling.BICUBIC)
        file = io.BytesIO()
        whole.convert("RGB").save(file, form.upper())
        return file.getvalue()


def in_base64(data: bytes) -> str:
    """Without a prefix."""
    return base64.b64encode(data).decode("ascii")


def _entry(gallery: Gallery, item: Item, output: Output, base_url: str) -> dict[str, str] | None:
    if output.url:
        return {"url": f"{base_url}api/gallery/{item.id}.{ENDINGS[output.form]}"}
    data = picture_bytes(gallery, item, output)
    return None if data is None else {"b64_json": in_base64(data)}
