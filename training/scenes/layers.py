"""From a scene to a list of pieces, each a sprite and the affine map that puts it into the picture.

Matrices are 2x3, from sprite pixels (0..256, x right, y down) to picture pixels. Both ways of drawing,
`draw` (one picture, NumPy and Pillow) and `batch` (many, PyTorch), start from this list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.scenes.geometry import Box, union
from training.scenes.scene import Item, Scene
from training.scenes.wardrobe import Placement, place_held, place_worn
from training.scenes.world import World

Matrix = NDArray[np.float64]
Pixels = tuple[int, int, int, int]

GROUNDS_WITH_SHADOW = ("plain", "gradient", "grass", "snow", "sunset")


@dataclass(frozen=True)
class Layer:
    """One piece: a sprite (`code`, recoloured to `colour` if set), or, with code "", the soft shadow under `box`
    of the next piece. `box` is the visible part in sprite pixels."""

    code: str
    matrix: Matrix
    box: Pixels
    colour: str = ""


def layers_of(scene: Scene, world: World, boxes: dict[str, Pixels], picture_pixels: int) -> list[Layer]:
    """All pieces from back to front. `boxes` holds the visible part of every sprite by code."""
    layers: list[Layer] = []
    shadows = scene.style != "sticker" and scene.background.kind in GROUNDS_WITH_SHADOW
    for item in scene.items:
        pieces = item_layers(item, world, boxes, picture_pixels)
        if shadows and not world.things[item.thing].floats:
            layers.append(Layer("", pieces[0].matrix, pieces[0].box))
        layers += pieces
    return layers


def item_layers(item: Item, world: World, boxes: dict[str, Pixels], picture_pixels: int) -> list[Layer]:
    """The thing itself, then what it wears, then what it holds."""
    thing = world.things[item.thing]
    box = boxes[thing.code]
    scale = item.side * picture_pixels / max(box[2] - box[0], box[3] - box[1])
    own = affine(item.x * picture_pixels, item.y * picture_pixels, scale, item.angle, box, item.mirrored)
    layers = [Layer(thing.code, own, box, item.colour)]
    for key in item.wearing:
        worn = world.wearables[key]
        layers.append(_attached(own, worn.code, place_worn(worn, thing.anchors[worn.anchor], boxes[worn.code]), boxes))
    if item.holding:
        held = world.things[item.holding].code
        layers.append(_attached(own, held, place_held(world.grips[held], thing.anchors["hand"], boxes[held]), boxes))
    return layers


def affine(x: float, y: float, scale: float, degrees: float, box: Pixels, mirrored: bool = False) -> Matrix:
    """Puts the centre of `box` at x, y, scaled, turned counterclockwise, mirrored first."""
    turn = math.radians(degrees)
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    linear = np.array([[-cos if mirrored else cos, sin], [sin if mirrored else -sin, cos]])
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    return np.column_stack([linear, np.array([x, y]) - linear @ centre])


def chain(outer: Matrix, inner: Matrix) -> Matrix:
    """First `inner`, then `outer`."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def bounds(layer: Layer, picture_pixels: int) -> Box:
    """The box around a piece's visible part in the picture, in shares of its side."""
    left, top, right, bottom = layer.box
    corners = np.array([[left, right, left, right], [top, top, bottom, bottom]])
    points = (layer.matrix[:, :2] @ corners + layer.matrix[:, 2:]) / picture_pixels
    (x0, y0), (x1, y1) = points.min(axis=1), points.max(axis=1)
    return float(x0), float(y0), float(x1), float(y1)


def item_bounds(item: Item, world: World, boxes: dict[str, Pixels], picture_pixels: int, dressed: bool = True) -> Box:
    """The box around an item, with what it wears and holds or, not `dressed`, without."""
    layers = item_layers(item, world, boxes, picture_pixels)
    return union([bounds(layer, picture_pixels) for layer in (layers if dressed else layers[:1])])


def _attached(own: Matrix, code: str, place: Placement, boxes: dict[str, Pixels]) -> Layer:
    box = boxes[code]
    return Layer(code, chain(own, affine(place.x, place.y, place.scale, place.angle, box)), box)
