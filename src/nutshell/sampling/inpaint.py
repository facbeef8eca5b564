"""Inpainting with a network that knows nothing of masks: the known region is put back after every step."""

from __future__ import annotations

import numpy as np

from nutshell.sampling.schedule import Schedule
from nutshell.sampling.step import Array, Blend


def inpaint_blend(schedule: Schedule, clean: Array, noise: Array, mask: Array) -> Blend:
    """Return the blend that keeps `clean` outside the mask (Avrahami et al. 2023, "Blended Latent Diffusion").

    clean: the picture's latent, (batch, channels, height, width).
    noise: the unit noise that the run started from, drawn once, so that the known region moves along one line.
    mask: (batch or 1, 1, height, width), 1 where the picture is to be painted anew, 0 where it is kept.

    The known region is noised to the level the next step expects; after the last step it is clean.
    """

    paint = np.asarray(mask, clean.dtype)

    def blend(latent: Array, index: int) -> Array:
        known: Array = schedule.resting(index).mix(clean, noise)
        return paint * latent + (1.0 - paint) * known

    return blend
