"""Which weights a card was made for, told without reading them all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from nutshell.weights import Tensor, Weights

_SAMPLE_BYTES = 64


def fingerprint(weights: Weights) -> str:
    """SHA-256 over every tensor's canonical name, type, shape and the 64 bytes in its middle, in hexadecimal.

    Every tensor has a part in it, so one that was trained further, merged or replaced shows. One page of the file is
    read for each: of gigabytes some megabytes, which compiling reads next anyway. The names are canonical, so the
    same weights have one fingerprint as a diffusers folder and as a single file.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(zip(weights.names(), weights.tensors(), strict=True), key=lambda item: item[0]):
        digest.update(f"{name}\0{tensor.dtype}\0{'x'.join(map(str, tensor.shape))}\0".encode())
        digest.update(_middle(tensor))
    return digest.hexdigest()


def joint(fingerprints: Mapping[str, str]) -> str:
    """One for a whole model. fingerprints: by part."""
    lines = (f"{part} {value}\n" for part, value in sorted(fingerprints.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _middle(tensor: Tensor) -> bytes:
    count = min(_SAMPLE_BYTES, tensor.nbytes)
    if not count:
        return b""
    start = tensor.offset + (tensor.nbytes - count) // 2
    return np.frombuffer(tensor.data, np.uint8, count, start).tobytes()
