"""How a sprite's own hue is shifted to a colour of the palette."""

from __future__ import annotations

import torch
from torch import Tensor

from training.scenes.palette import TARGETS

NEAR_DEGREES, FAR_DEGREES = 35.0, 60.0


def recolour(sprites: Tensor, hue_degrees: Tensor, colour: str) -> Tensor:
    """Shift the pixels near each sprite's own hue to a colour; other hues (a green leaf) and greys stay.

    sprites: float (n, 4, height, width), RGB not premultiplied and alpha, 0..1; hue_degrees: (n,).
    """
    target, saturate, brighten = TARGETS[colour]
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
