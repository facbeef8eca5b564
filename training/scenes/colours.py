"""Colours by name: what they are on a plain background, and how a sprite's own hue is shifted to one."""

from __future__ import annotations

import torch
from torch import Tensor

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

_TARGETS: dict[str, tuple[float, float, float]] = {
    "red": (356.0, 1.05, 0.98),
    "orange": (28.0, 1.1, 1.12),
    "yellow": (50.0, 1.0, 1.22),
    "green": (125.0, 0.85, 0.92),
    "blue": (214.0, 0.95, 1.0),
    "purple": (272.0, 0.8, 0.95),
    "pink": (334.0, 0.52, 1.2),
}
"""Hue in degrees, factor on saturation, factor on value, of an object that is given the colour."""

RECOLOURS = tuple(_TARGETS)
NEAR_DEGREES, FAR_DEGREES = 35.0, 60.0


def recolour(sprites: Tensor, hue_degrees: Tensor, colour: str) -> Tensor:
    """Shift the pixels near each sprite's own hue to a colour; other hues (a green leaf) and greys stay.

    sprites: float (n, 4, height, width), RGB not premultiplied and alpha, 0..1; hue_degrees: (n,).
    """
    target, saturate, brighten = _TARGETS[colour]
    hue, saturation, value = _hsv(sprites[:, :3])
    own = hue_degrees.view(-1, 1, 1).to(sprites)
    away = ((hue - own + 180) % 360) - 180
    share = ((FAR_DEGREES - away.abs()) / (FAR_DEGREES - NEAR_DEGREES)).clamp(0, 1)
    share = share * ((saturation - 0.08) / 0.17).clamp(0, 1)
    # A third of the spread of hues around the own one stays, so that shading does not go flat.
    shifted = _rgb((target + 0.35 * away) % 360, (saturation * saturate).clamp(0, 1), (value * brighten).clamp(0, 1))
    mixed = sprites[:, :3] + share.unsqueeze(1) * (shifted - sprites[:, :3])
    return torch.cat([mixed, sprites[:, 3:]], dim=1)


def _hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(n, 3, h, w) in 0..1 -> hue in degrees, saturation, value, each (n, h, w)."""
    red, green, blue = rgb.unbind(1)
    value, low = rgb.amax(1), rgb.amin(1)
    spread = (value - low).clamp_min(1e-6)
    hue = torch.where(
        value == red,
        (green - blue) / spread % 6,
        torch.where(value == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    return hue * 60, (value - low) / value.clamp_min(1e-6), value


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The way back, (n, 3, h, w)."""
    parts = []
    for offset in (5.0, 3.0, 1.0):
        k = (offset + hue / 60) % 6
        parts.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(parts, dim=1)
