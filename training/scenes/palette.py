"""Colours by name: what they are on a plain background, and what becomes of a thing that is given one."""

from __future__ import annotations

PLAIN: dict[str, tuple[int, int, int]] = {
    "red": (224, 72, 76),
    "orange": (245, 150, 60),
    "yellow": (253, 216, 84),
    "green": (96, 186, 116),
    "blue": (78, 146, 228),
    "purple": (146, 108, 196),
    "pink": (246, 170, 198),
    "brown": (146, 100, 72),
    "black": (34, 34, 38),
    "white": (255, 255, 255),
    "grey": (158, 162, 168),
}
"""Red, green, blue of a background, 0..255."""

TARGETS: dict[str, tuple[float, float, float]] = {
    "red": (356.0, 1.05, 0.98),
    "orange": (28.0, 1.1, 1.12),
    "yellow": (50.0, 1.0, 1.22),
    "green": (125.0, 0.85, 0.92),
    "blue": (214.0, 0.95, 1.0),
    "purple": (272.0, 0.8, 0.95),
    "pink": (334.0, 0.52, 1.2),
}
"""Hue in degrees, factor on saturation, factor on value, of an object that is given the colour."""

RECOLOURS = tuple(TARGETS)
