"""Between pictures and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from nutshell.pipeline.request import LARGEST_SIDE

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]


def picture_array(image: Image.Image, width: int, height: int) -> F32:
    """RGB in [-1, 1], (1, 3, height, width); resized with Lanczos, transparency on white."""
    rgb = np.asarray(_opaque(image).resize((width, height), Image.Resampling.LANCZOS), np.float32)
    return np.ascontiguousarray((rgb / 127.5 - 1.0).transpose(2, 0, 1)[None])


def mask_array(mask: Image.Image, width: int, height: int) -> F32:
    """1 where to paint, 0 where to keep, (1, 1, height, width), from a mask that is white where to paint."""
    grey = np.asarray(_grey(mask).resize((width, height), Image.Resampling.LANCZOS), np.float32)
    return (grey >= 127.5).astype(np.float32)[None, None]


def shrunk(mask: F32, factor: int) -> F32:
    """A mask at the latents' size: every factor-th pixel, as nearest-neighbour resizing takes them."""
    return np.ascontiguousarray(mask[:, :, ::factor, ::factor])


def to_image(pixels: Array) -> Image.Image:
    """(1, 3, height, width) in [-1, 1] -> RGB picture."""
    unit = np.clip(pixels[0].astype(np.float32) / 2 + 0.5, 0.0, 1.0)
    return Image.fromarray((unit.transpose(1, 2, 0) * 255).round().astype(np.uint8), "RGB")


def keep_outside(painted: Image.Image, original: Image.Image, mask: F32, blur: float) -> Image.Image:
    """`original` outside the mask, `painted` inside, the border softened over `blur` pixels."""
    alpha = Image.fromarray((mask[0, 0] * 255).astype(np.uint8), "L")
    if blur > 0:
        alpha = alpha.filter(ImageFilter.GaussianBlur(blur))
    return Image.composite(painted, _opaque(original).resize(painted.size, Image.Resampling.LANCZOS), alpha)


def fitted_size(image: Image.Image, pixels: int) -> tuple[int, int]:
    """Width and height for redrawing `image`: its own shape, at most about `pixels` in all, multiples of 8."""
    width, height = ImageOps.exif_transpose(image).size
    scale = min(1.0, (pixels / (width * height)) ** 0.5)
    return _side(width * scale), _side(height * scale)


def _side(pixels: float) -> int:
    return min(max(8, round(pixels / 8) * 8), LARGEST_SIDE)


def _opaque(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def _grey(mask: Image.Image) -> Image.Image:
    """A mask as grey; one drawn on transparency is black where nothing was drawn."""
    mask = ImageOps.exif_transpose(mask)
    if mask.mode in ("RGBA", "LA", "PA"):
        layer = mask.convert("RGBA")
        mask = Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer)
    return mask.convert("L")
