"""Masks as OpenAI's API has them: transparent where the picture is to be redrawn. Ours are white there."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image, ImageChops

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.service.wish import Limits, Wish


def with_mask(wish: Wish, limits: Limits, *, strength: float | None) -> Wish:
    """The wish with its mask turned into ours; without one, a transparent picture is a mask itself.

    strength: what was asked for; where nothing was, what the mask leaves open is drawn anew altogether, for it often
    holds nothing to start from. Raises UsageError.
    """
    # Sizes first: nothing is decoded before.
    wish.check(limits)
    alpha = _alpha(wish.mask if wish.mask is not None else wish.image)
    if wish.mask is not None and alpha is None:
        raise UsageError(
            tr("the mask has no transparency"),
            tr("send a PNG that is transparent where the picture is to be redrawn, and opaque where it stays"),
            field="mask",
        )
    if alpha is None or (wish.mask is None and alpha.getextrema()[0] == 255):
        return wish
    file = io.BytesIO()
    ImageChops.invert(alpha).save(file, "PNG")
    return replace(wish, mask=file.getvalue(), strength=1.0 if strength is None else strength)


def _alpha(data: bytes | None) -> Image.Image | None:
    """How opaque each pixel is; None where nothing says."""
    if data is None:
        return None
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
        if "A" not in image.getbands() and "transparency" not in image.info:
            return None
        return image.convert("RGBA").getchannel("A")
