"""Draw one scene on the CPU with Pillow and NumPy: pieces into a transparent foreground, then the background behind."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.scenes.layers import Layer, bounds
from training.scenes.styles import finish, outline

Picture = NDArray[np.uint8]
OpenSprite = Callable[[str, str, int], Image.Image]
"""(code, colour, level) -> RGBA, 256 >> level pixels a side."""

SHADOW_STRENGTH = 0.38
LEVELS = 3


def draw_scene(layers: list[Layer], ground: Picture, style: str, sprite: OpenSprite) -> Picture:
    """The picture: uint8 (side, side, 3). `layers` from back to front, `ground` uint8 of the picture's size."""
    side = len(ground)
    front = np.zeros((side, side, 4), np.float32)  # premultiplied, alpha last, 0..1
    for layer in layers:
        if layer.code:
            _paste(front, layer, sprite)
        else:
            _shade(front, layer)
    return finish(outline(front, ground.astype(np.float32) / 255, style), style)


def level_of(matrix: NDArray[np.float64]) -> int:
    """Which halving of the sprite comes nearest to its size in the picture from above."""
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    return min(LEVELS - 1, max(0, math.floor(-math.log2(max(scale, 1e-3)) + 0.4)))


def shadow_of(layer: Layer, side: int) -> tuple[float, float, float, float]:
    """Centre x, y and radii of the soft ellipse under a piece, in pixels."""
    left, _, right, bottom = (value * side for value in bounds(layer, side))
    return (left + right) / 2, bottom - 0.02 * (right - left), 0.46 * (right - left), 0.075 * (right - left)


def _paste(front: NDArray[np.float32], layer: Layer, sprite: OpenSprite) -> None:
    side = len(front)
    x0, y0, x1, y1 = bounds(layer, side)
    left, top = max(0, math.floor(x0 * side) - 1), max(0, math.floor(y0 * side) - 1)
    right, bottom = min(side, math.ceil(x1 * side) + 1), min(side, math.ceil(y1 * side) + 1)
    if right <= left or bottom <= top:
        return
    level = level_of(layer.matrix)
    # Pillow wants the way back, from the pixels of the result to those of the sprite.
    back = np.linalg.inv(layer.matrix[:, :2])
    shift = back @ (np.array([left, top]) - layer.matrix[:, 2])
    way = np.column_stack([back, shift]) / 2**level
    piece = sprite(layer.code, layer.colour, level).transform(
        (right - left, bottom - top), Image.Transform.AFFINE, tuple(way.ravel()), Image.Resampling.BILINEAR
    )
    values = np.asarray(piece, np.float32) / 255
    _over(front[top:bottom, left:right], values[..., :3] * values[..., 3:], values[..., 3:])


def _shade(front: NDArray[np.float32], layer: Layer) -> None:
    side = len(front)
    x, y, wide, high = shadow_of(layer, side)
    left, right = max(0, int(x - 1.6 * wide)), min(side, int(x + 1.6 * wide) + 1)
    top, bottom = max(0, int(y - 2.5 * high)), min(side, int(y + 2.5 * high) + 1)
    if right <= left or bottom <= top:
        return
    rows = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - y) / high
    columns = (np.arange(left, right, dtype=np.float32)[None] + 0.5 - x) / wide
    alpha = SHADOW_STRENGTH * np.exp(-1.6 * (rows**2 + columns**2))
    _over(front[top:bottom, left:right], np.float32(0), alpha[..., None])


def _over(below: NDArray[np.float32], colour: NDArray[np.float32] | np.float32, alpha: NDArray[np.float32]) -> None:
    below *= 1 - alpha
    below[..., :3] += colour
    below[..., 3:] += alpha
