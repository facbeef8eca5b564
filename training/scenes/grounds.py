"""Backgrounds, drawn with NumPy from a kind, its colours and a variant number: uint8 (side, side, 3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.scenes.palette import PLAIN
from training.scenes.scene import BACKGROUNDS, Background

Picture = NDArray[np.uint8]
_Field = NDArray[np.float32]


def draw_ground(background: Background, side: int) -> Picture:
    """The background alone; the same for the same arguments."""
    seed = [BACKGROUNDS.index(background.kind), background.variant, *(list(PLAIN).index(c) for c in background.colours)]
    random = np.random.default_rng(seed)
    picture = _DRAW[background.kind](background, side, random)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _plain(background: Background, side: int, random: np.random.Generator) -> _Field:
    colour = _rgb(background.colours[0])
    if background.colours[0] != "white":  # white is the paper, always the same
        colour = colour + random.uniform(-10, 10, 3).astype(np.float32)
    return np.broadcast_to(colour, (side, side, 3)).astype(np.float32)


def _gradient(background: Background, side: int, random: np.random.Generator) -> _Field:
    first, second = (_rgb(name) for name in background.colours)
    x, y = _axes(side)
    if background.variant % 4 == 3:
        share = np.hypot(x - 0.5, y - 0.5) / 0.71
    else:
        turn = random.uniform(0, 2 * np.pi)
        share = 0.5 + ((x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn)) / 1.2
    return _mix(first, second, share)


def _sky(_background: Background, side: int, random: np.random.Generator) -> _Field:
    _, y = _axes(side)
    return _clouds(_mix((78, 158, 236), (188, 226, 252), y), 0.0, 0.95, int(random.integers(3, 6)), random)


def _grass(_background: Background, side: int, random: np.random.Generator) -> _Field:
    x, y = _axes(side)
    sky = _clouds(_mix((122, 190, 246), (206, 235, 252), y * 1.6), 0.0, 0.35, 2, random)
    horizon = random.uniform(0.5, 0.62) + 0.03 * np.sin(2 * np.pi * (x * random.uniform(0.6, 1.2) + random.uniform()))
    blades = 7 * _noise(side, 64, random) + 6 * _noise(side, 24, random)
    green = _mix((136, 204, 92), (74, 156, 62), (y - 0.5) * 2) + blades[..., None]
    return _over(sky, green, _edge(y - horizon, side))


def _sea(_background: Background, side: int, random: np.random.Generator) -> _Field:
    x, y = _axes(side)
    sky = _clouds(_mix((150, 208, 248), (222, 241, 252), y * 1.8), 0.0, 0.3, 2, random)
    horizon = random.uniform(0.42, 0.56)
    depth = np.clip((y - horizon) / (1 - horizon), 0, 1)
    waves = np.sin(2 * np.pi * (18 * np.sqrt(depth + 0.02) + 0.35 * np.sin(2 * np.pi * (x * 3 + random.uniform()))))
    water = _mix((64, 160, 216), (22, 92, 168), depth) + (7 * waves * (0.3 + depth))[..., None]
    return _over(sky, water, _edge(y - horizon, side))


def _night(_background: Background, side: int, random: np.random.Generator) -> _Field:
    _, y = _axes(side)
    picture = _mix((14, 18, 52), (44, 48, 104), y)
    for _ in range(int(random.integers(30, 50))):
        _dot(picture, random.uniform(0, 1, 2), random.uniform(0.0025, 0.006), (255, 250, 220), random.uniform(0.5, 1))
    return picture


def _snow(_background: Background, side: int, random: np.random.Generator) -> _Field:
    x, y = _axes(side)
    horizon = random.uniform(0.55, 0.68) + 0.04 * np.sin(2 * np.pi * (x * random.uniform(0.5, 0.9) + random.uniform()))
    air = _mix((150, 178, 208), (206, 222, 236), y * 1.4)
    picture = _over(air, _mix((250, 252, 255), (222, 232, 246), (y - 0.55) * 2), _edge(y - horizon, side))
    for _ in range(int(random.integers(35, 55))):
        _dot(picture, random.uniform(0, 1, 2), random.uniform(0.005, 0.012), (255, 255, 255), 0.9)
    return picture


def _sunset(_background: Background, side: int, random: np.random.Generator) -> _Field:
    x, y = _axes(side)
    horizon = random.uniform(0.62, 0.74)
    share = y / horizon
    sky = np.where((share < 0.55)[..., None], _mix((96, 62, 140), (236, 104, 98), share / 0.55),
                   _mix((236, 104, 98), (255, 196, 98), (share - 0.55) / 0.45))  # fmt: skip
    sun_x, radius = random.uniform(0.25, 0.75), random.uniform(0.08, 0.12)
    away = np.hypot(x - sun_x, y - horizon)
    sky = _over(
        sky, np.broadcast_to(np.float32((255, 226, 140)), sky.shape), np.exp(-((away / (3 * radius)) ** 2)) * 0.6
    )
    sky = _over(sky, np.broadcast_to(np.float32((255, 238, 176)), sky.shape), _edge(radius - away, side))
    return _over(sky, _mix((122, 64, 92), (56, 34, 70), (y - horizon) * 3), _edge(y - horizon, side))


_DRAW: dict[str, Callable[[Background, int, np.random.Generator], _Field]] = {
    "plain": _plain,
    "gradient": _gradient,
    "sky": _sky,
    "grass": _grass,
    "sea": _sea,
    "night": _night,
    "snow": _snow,
    "sunset": _sunset,
}


def _rgb(name: str) -> _Field:
    return np.array(PLAIN[name], np.float32)


def _axes(side: int) -> tuple[_Field, _Field]:
    """x and y of the pixels' centres, 0..1, each (side, side)."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    return (x + 0.5) / side, (y + 0.5) / side


def _mix(first: object, second: object, share: _Field) -> _Field:
    """From the first colour to the second as `share` (side, side) goes from 0 to 1."""
    part = np.clip(share, 0, 1)[..., None]
    return np.asarray(first, np.float32) * (1 - part) + np.asarray(second, np.float32) * part


def _over(below: _Field, above: _Field, share: _Field) -> _Field:
    part = np.clip(share, 0, 1)[..., None].astype(np.float32)
    return below * (1 - part) + above * part


def _edge(inside: _Field, side: int) -> _Field:
    """1 where `inside` is positive, 0 where negative, soft over about a pixel."""
    return np.clip(inside * side + 0.5, 0, 1)


def _noise(side: int, cells: int, random: np.random.Generator) -> _Field:
    """Smooth noise, about -1..1, with that many bumps a side."""
    grid = random.normal(0, 0.5, (cells + 1, cells + 1)).astype(np.float32)
    at = np.linspace(0, cells, side, endpoint=False)
    low, part = at.astype(int), (at % 1).astype(np.float32)
    rows = grid[low] * (1 - part[:, None]) + grid[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def _clouds(picture: _Field, top: float, bottom: float, count: int, random: np.random.Generator) -> _Field:
    x, y = _axes(len(picture))
    for _ in range(count):
        middle_x, middle_y = random.uniform(0, 1), random.uniform(top, bottom)
        puffs = [
            np.exp(-(((x - middle_x - dx) / (0.045 * size)) ** 2 + ((y - middle_y - dy) / (0.028 * size)) ** 2) ** 2)
            for dx, dy, size in zip(np.linspace(-0.09, 0.09, 5), random.uniform(-0.012, 0.012, 5),
                                    (0.8, 1.3, 1.7, 1.2, 0.8), strict=True)
        ]  # fmt: skip
        picture = _over(picture, np.broadcast_to(np.float32(255), picture.shape), 0.85 * np.max(puffs, axis=0))
    return picture


def _dot(picture: _Field, at: _Field, radius: float, colour: tuple[int, int, int], share: float) -> None:
    """A soft dot, in place."""
    side = len(picture)
    reach = int(np.ceil(radius * side * 2)) + 1
    column, row = (at * side).astype(int)
    rows, columns = slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1)
    x, y = _axes(side)
    away = np.hypot(x[rows, columns] - at[0], y[rows, columns] - at[1]) / radius
    picture[rows, columns] = _over(picture[rows, columns], np.broadcast_to(np.float32(colour), (*away.shape, 3)),
                                   share * np.exp(-(away**2)))  # fmt: skip
