"""The picture that img2img starts from, and its mask, made to fit as AUTOMATIC1111's web UI has it."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image, ImageFilter, ImageOps, ImageStat

from nutshell.service.http.a1111_request import ImageToImage
from nutshell.service.wish import DECODING, Wish

_STRETCH, _CROP, _FILL_SIDES = 0, 1, 2
_FROM_SURROUNDINGS = 0
_OPAQUE = 255


def fitted(asked: ImageToImage, wish: Wish) -> Wish:
    """The wish with picture and mask as they are to be drawn over. Its checks are done; decodes and encodes: blocks."""
    mode = asked.resize_mode or _STRETCH
    size = (wish.width, wish.height) if wish.width is not None and wish.height is not None else None
    if wish.mask is None and (mode == _STRETCH or size is None):
        return wish
    with DECODING:
        return _fitted(asked, wish, mode, size)


def _fitted(asked: ImageToImage, wish: Wish, mode: int, size: tuple[int, int] | None) -> Wish:
    request = wish.request()
    if request.image is None:
        return wish
    image, mask = ImageOps.exif_transpose(request.image).convert("RGB"), None
    if request.mask is not None:
        mask = _grey(request.mask).resize(image.size)
        mask = ImageOps.invert(mask) if asked.inpainting_mask_invert else mask
    if mask is not None and asked.inpainting_fill == _FROM_SURROUNDINGS:
        image = filled(image, mask)
    if mode != _STRETCH and size is not None:
        image = _shaped(image, mode, size)
        mask = None if mask is None else _shaped(mask, mode, size)
    return replace(wish, image=_png(image), mask=None if mask is None else _png(mask))


def filled(image: Image.Image, mask: Image.Image) -> Image.Image:
    """`image` with what `mask` shows white painted over in the colours around it, the nearest strongest."""
    kept = ImageOps.invert(mask.point(lambda value: _OPAQUE if value > _OPAQUE // 2 else 0))
    known = image.convert("RGBA")
    known.putalpha(kept)
    known = Image.composite(known, Image.new("RGBA", image.size), kept)
    # Colours multiplied by alpha, so that what is masked has no say in a blur.
    known = known.convert("RGBa")
    result = Image.new("RGBA", image.size, (*_mean(image, kept), _OPAQUE))
    longest = max(image.size)
    for share in (2, 4, 8, 16, 32, 64, 128):
        blurred = known.filter(ImageFilter.GaussianBlur(max(1.0, longest / share))).convert("RGBA")
        result.alpha_composite(blurred)
    return Image.composite(image, result.convert("RGB"), kept)


def _mean(image: Image.Image, kept: Image.Image) -> tuple[int, int, int]:
    if kept.getbbox() is None:
        return (128, 128, 128)
    red, green, blue = ImageStat.Stat(image, kept).mean
    return (round(red), round(green), round(blue))


def _shaped(image: Image.Image, mode: int, size: tuple[int, int]) -> Image.Image:
    """Cut to the shape of `size`, or with the rows and columns at its sides drawn out to it."""
    if mode == _CROP:
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    inner = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    left, top = (size[0] - inner.width) // 2, (size[1] - inner.height) // 2
    right, bottom = size[0] - inner.width - left, size[1] - inner.height - top
    whole = Image.new(image.mode, size)
    whole.paste(inner, (left, top))
    sides = (
        ((0, 0, 1, inner.height), (left, inner.height), (0, top)),
        ((inner.width - 1, 0, inner.width, inner.height), (right, inner.height), (left + inner.width, top)),
        ((0, 0, inner.width, 1), (inner.width, top), (left, 0)),
        ((0, inner.height - 1, inner.width, inner.height), (inner.width, bottom), (left, top + inner.height)),
    )
    for edge, room, place in sides:
        if min(room) > 0:
            whole.paste(inner.crop(edge).resize(room), place)
    return whole


def _grey(mask: Image.Image) -> Image.Image:
    """A mask that is transparent somewhere means by its alpha, any other by its brightness."""
    if mask.mode in ("RGBA", "LA", "PA"):
        alpha = mask.getchannel("A")
        if alpha.getextrema() != (_OPAQUE, _OPAQUE):
            return alpha
    return mask.convert("L")


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
