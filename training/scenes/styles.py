"""Treatments of a whole picture: a sticker's white rim, black and white, pixel art. On NumPy arrays (one picture)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

RIM_SHARE = 0.022  # of the picture's side
CELLS = 32  # pixels of pixel art a side; one is a latent, so an autoencoder keeps them apart
SHADES = 8  # values a channel of pixel art has
RIM_BLUR = 1.2  # pixels


def outline(front: NDArray[np.float32], ground: NDArray[np.float32], style: str) -> NDArray[np.float32]:
    """Foreground (side, side, 4; premultiplied) over ground (side, side, 3), with a rim for stickers; 0..1."""
    if style == "sticker":
        rim = rim_of(front[..., 3])[..., None]
        ground = ground * (1 - rim) + rim
    return front[..., :3] + ground * (1 - front[..., 3:])


def finish(picture: NDArray[np.float32], style: str) -> NDArray[np.uint8]:
    """The last step on the whole picture, 0..1 -> 0..255."""
    if style == "black and white":
        picture = np.repeat((picture @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, axis=2)
    if style == "pixel art":
        block = len(picture) // CELLS
        cells = picture.reshape(CELLS, block, CELLS, block, 3).mean(axis=(1, 3))
        picture = (np.round(cells * (SHADES - 1)) / (SHADES - 1)).repeat(block, axis=0).repeat(block, axis=1)
    return (picture * 255 + 0.5).clip(0, 255).astype(np.uint8)


def rim_of(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """What lies within the rim's width of something visible, softened: (side, side), 0..1."""
    reach = 2 * round(RIM_SHARE * len(alpha)) + 1
    solid = Image.fromarray((alpha > 0.5).astype(np.uint8) * 255)
    # A square's growth and then a blur at half: corners come out round.
    grown = solid.filter(ImageFilter.MaxFilter(reach)).filter(ImageFilter.GaussianBlur(RIM_BLUR))
    return np.asarray(grown, np.float32) / 255
