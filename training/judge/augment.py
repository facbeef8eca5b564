"""What the judge must shrug off: the marks that autoencoders and file formats leave.

Apart from a `Distort`, all take and give pictures as float (n, 3, side, side) in -1..1, side a multiple of 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

Distort = Callable[[Tensor], Tensor]
"""Leaves its marks on pictures, uint8 (n, 3, side, side)."""

SHARE = 0.15
"""Of the pictures each kind of mark is left on, apart from the brightness, which always changes."""


def blemish(pictures: Tensor, share: float = SHARE) -> Tensor:
    """Pictures with marks of several kinds, each on its own random share of them."""
    marked = brightness(pictures)
    for mark in (blur, resample, quantize, noise):
        chosen = (torch.rand(len(marked)) < share).nonzero()[:, 0].to(marked.device)
        if len(chosen):
            marked[chosen] = mark(marked[chosen])
    return marked.clamp(-1, 1)


def brightness(pictures: Tensor) -> Tensor:
    """A little lighter or darker, flatter or harsher, with a slight tint."""
    count, device = len(pictures), pictures.device
    gain = 1 + 0.06 * torch.randn(count, 1, 1, 1, device=device).clamp(-2, 2)
    shift = 0.04 * torch.randn(count, 3, 1, 1, device=device).clamp(-2, 2)
    return pictures * gain + shift


def blur(pictures: Tensor) -> Tensor:
    """Between sharp and the mean of 3x3 pixels."""
    soft = avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    return torch.lerp(pictures, soft, torch.rand(len(pictures), 1, 1, 1, device=pictures.device))


def resample(pictures: Tensor) -> Tensor:
    """Down to between a half and nine tenths of the side and up again."""
    side = pictures.shape[-1]
    small = max(8, int(side * (0.5 + 0.4 * float(torch.rand(())))))
    down = interpolate(pictures, (small, small), mode="bilinear", antialias=True)
    return interpolate(down, (side, side), mode="bilinear")


def noise(pictures: Tensor) -> Tensor:
    """Gaussian noise of up to 0.08."""
    level = 0.08 * torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
    return pictures + level * torch.randn_like(pictures)


def quantize(pictures: Tensor) -> Tensor:
    """Blocks of 8x8 rounded in their frequencies, the higher ones more coarsely, as JPEG files do."""
    count, channels, side, _ = pictures.shape
    cosine = _cosines().to(pictures)
    blocks = pictures.reshape(count, channels, side // 8, 8, side // 8, 8).transpose(3, 4)
    index = torch.arange(8, device=pictures.device)
    coarse = 0.02 + 0.03 * (index[:, None] + index) * (0.3 + torch.rand(count, 1, 1, 1, 1, 1, device=pictures.device))
    frequencies = (cosine @ blocks @ cosine.T / coarse).round() * coarse
    return (cosine.T @ frequencies @ cosine).transpose(3, 4).reshape(pictures.shape)


def shift(pictures: Tensor, right: int, down: int) -> Tensor:
    """The whole batch moved by so many pixels; the borders repeat."""
    most, side = max(abs(right), abs(down)), pictures.shape[-1]
    padded = pad(pictures, (most,) * 4, mode="replicate")
    return padded[:, :, most - down : most - down + side, most - right : most - right + side]


def _cosines() -> Tensor:
    """The orthonormal discrete cosine transform of 8 values."""
    index = torch.arange(8)
    rows = torch.cos(math.pi / 8 * (index + 0.5) * index[:, None]) * math.sqrt(2 / 8)
    rows[0] /= math.sqrt(2)
    return rows


def load_distort(folder: Path) -> Distort | None:
    """The round trip through the autoencoder saved in a folder by diffusers, or None where there is none."""
    if not (folder / "config.json").is_file():
        return None
    from diffusers import AutoencoderTiny

    from training.autoencoder.network import round_trip

    autoencoder = AutoencoderTiny.from_pretrained(folder, torch_dtype=torch.float32).eval()

    def distort(pictures: Tensor) -> Tensor:
        with torch.autocast(pictures.device.type, dtype=torch.bfloat16):
            return round_trip(autoencoder, pictures)

    return distort
