"""What weights do to a text embedding, and how chunks become one condition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Embedding = npt.NDArray[np.float32]


def apply_weights(hidden: Embedding, weights: npt.NDArray[np.float32]) -> Embedding:
    """`hidden` (chunks, length, width) with each token's vector times its weight (chunks, length).

    Then each chunk is scaled so that its mean is what it was, as stable-diffusion-webui does
    (`modules/sd_emphasis.py`, emphasis "Original"), one chunk at a time, so a weight in one chunk
    leaves the others alone. A chunk without weights stays the same bit for bit. Where the
    weighted mean is 0 there is no such scale, and the chunk stays as multiplied.
    """
    if hidden.shape[:2] != weights.shape:
        raise ValueError(f"weights {weights.shape} do not fit an embedding {hidden.shape}")
    result = hidden.astype(np.float32, copy=True)
    for chunk, factors in zip(result, weights, strict=True):
        if np.all(factors == 1):
            continue
        before = float(chunk.mean(dtype=np.float64))
        chunk *= factors[:, None]
        after = float(chunk.mean(dtype=np.float64))
        scale = np.float32(before / after) if after else np.float32(1)
        if np.isfinite(scale):
            chunk *= scale
    return result


def join_chunks(hidden: Embedding) -> Embedding:
    """(chunks, length, width) -> (1, chunks * length, width): the chunks side by side, in order."""
    return hidden.reshape(1, -1, hidden.shape[-1])
