"""A cheap look at a latent while it is being denoised: one colour for each cell, or the tiny decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nutshell.engines import Engine, Session
from nutshell.networks import autoencoder_tiny
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.pipeline.pixels import to_image
from nutshell.weights import Part


def linear_preview(latent: npt.NDArray[Any], matrix: tuple[tuple[float, ...], ...], side: int = 0) -> Image.Image:
    """Latent (1, channels, height, width), as the denoiser sees it -> RGB picture.

    matrix: channels rows of (red, green, blue) and a last one of offsets, giving 0..1; without one the
    latent's mean shows in grey. side: least length of the longer side in pixels, 0 for one per cell.
    """
    cells = latent[0].astype(np.float32)
    if matrix:
        rows = np.asarray(matrix, np.float32)
        colours = np.einsum("chw,cr->hwr", cells, rows[:-1]) + rows[-1]
    else:
        colours = np.repeat(cells.mean(axis=0)[..., None] / 4 + 0.5, 3, axis=-1)
    image = Image.fromarray((np.clip(colours, 0, 1) * 255).round().astype(np.uint8), "RGB")
    factor = -(-side // max(image.size))
    if factor <= 1:
        return image
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.BILINEAR)


class TinyPreview:
    """The tiny autoencoder's decoder as a sharper preview. Compiled at the first look, and kept."""

    def __init__(self, engine: Engine, part: Part, config: AutoencoderTinyConfig, precision: str | None) -> None:
        self._engine = engine
        self._part = part
        self._config = config
        self._precision = precision or engine.precisions[0]
        self._kept: tuple[tuple[int, ...], Session] | None = None

    def __call__(self, latent: npt.NDArray[Any]) -> Image.Image:
        """Latent (1, channels, height, width), as the denoiser sees it -> RGB picture of full size."""
        if self._kept is None or self._kept[0] != latent.shape:
            self.close()
            network = autoencoder_tiny.decoder(self._config, *latent.shape[2:])
            self._kept = (latent.shape, self._engine.compile(network, self._part.weights, self._precision))
        unscaled = latent / self._config.scaling_factor + self._config.shift_factor
        return to_image(self._kept[1](latent=np.asarray(unscaled, np.float32)))

    def close(self) -> None:
        """Free the decoder."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None
