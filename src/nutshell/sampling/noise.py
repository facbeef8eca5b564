"""Seeded Gaussian noise: the numbers that `torch.randn` draws on a CPU generator, without torch.

A seed names a picture only if every program draws the same noise from it, and the diffusers pipelines
draw it with `torch.Generator("cpu")`. What torch does (ATen's `CPUGeneratorImpl` and
`DistributionTemplates.h`), and what is therefore repeated here:

- The engine is MT19937, seeded with the low 32 bits of the seed.
- 16 numbers or more: one 24-bit uniform a number, then Box-Muller in float32 on chunks of 16, of which the
  first 8 uniforms give radii and the last 8 angles. If the size is no multiple of 16, the last 16 places
  are drawn again, from 16 fresh uniforms.
- Fewer than 16: one at a time in float64 from 53-bit uniforms, two 32-bit words each. Box-Muller makes
  two normals; the second waits for the next such draw (large draws neither use nor drop it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nutshell.errors import UsageError
from nutshell.language import tr

Float32Array = npt.NDArray[np.float32]

_CHUNK = 16
_SEED_MIN, _SEED_MAX = -(2**63), 2**64 - 1


class Noise(Protocol):
    """Anything that hands out unit Gaussian noise, draw after draw."""

    def normal(self, shape: Sequence[int]) -> Float32Array: ...


class NoiseStream:
    """One seed's noise. Each call to `normal` goes on where the last one stopped."""

    def __init__(self, seed: int) -> None:
        """`seed`: -2**63 to 2**64 - 1, what torch takes; only its low 32 bits count (torch's own rule)."""
        if not _SEED_MIN <= seed <= _SEED_MAX:
            raise UsageError(
                tr("the seed {seed} is out of range", seed=seed), hint=tr("use a whole number from 0 to 2**63 - 1")
            )
        self.seed = seed
        self._engine = np.random.RandomState(seed & 0xFFFFFFFF)
        self._waiting: float | None = None

    def normal(self, shape: Sequence[int]) -> Float32Array:
        """Return unit Gaussian noise of `shape`, equal to the next `torch.randn(shape, generator=...)`."""
        size = math.prod(shape)
        values = self._many(size) if size >= _CHUNK else self._few(size)
        return values.reshape(tuple(shape))

    def _many(self, size: int) -> Float32Array:
        uniforms = self._uniforms(size)
        whole = size // _CHUNK * _CHUNK
        values = np.empty(size, np.float32)
        values[:whole] = _box_muller(uniforms[:whole])
        if whole != size:
            values[-_CHUNK:] = _box_muller(self._uniforms(_CHUNK))
        return values

    def _few(self, size: int) -> Float32Array:
        return np.array([self._one() for _ in range(size)], np.float32)

    def _one(self) -> float:
        if self._waiting is not None:
            value, self._waiting = self._waiting, None
            return value
        angle, radius = (self._uniform53() for _ in range(2))
        angle *= 2.0 * math.pi
        radius = math.sqrt(-2.0 * math.log1p(-radius))
        self._waiting = radius * math.sin(angle)
        return radius * math.cos(angle)

    def _uniforms(self, count: int) -> Float32Array:
        return (self._words(count) & 0xFFFFFF).astype(np.float32) * np.float32(2.0**-24)

    def _uniform53(self) -> float:
        high, low = (int(word) for word in self._words(2))
        return float(((high << 32 | low) & (2**53 - 1)) * 2.0**-53)

    def _words(self, count: int) -> npt.NDArray[np.uint32]:
        return self._engine.randint(0, 2**32, size=count, dtype=np.uint32)


class NoiseStreams:
    """One stream a picture, so that each picture of a batch is the one its seed gives alone."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._streams = tuple(NoiseStream(seed) for seed in seeds)

    def normal(self, shape: Sequence[int]) -> Float32Array:
        """Return noise of `shape`, whose first number is the batch: as many as there are seeds."""
        if shape[0] != len(self._streams):
            raise UsageError(
                tr(
                    "a batch of {shape} needs as many seeds, and {count} were given",
                    shape=shape[0],
                    count=len(self._streams),
                )
            )
        return np.concatenate([stream.normal((1, *shape[1:])) for stream in self._streams])


def _box_muller(uniforms: Float32Array) -> Float32Array:
    """Turn uniforms in [0, 1), a whole number of chunks of 16, into as many unit normals (Box and Muller 1958)."""
    chunks = uniforms.reshape(-1, 2, _CHUNK // 2)
    # 1 - u lies in (0, 1], so that the logarithm is finite.
    radius = np.sqrt(np.float32(-2.0) * np.log(np.float32(1.0) - chunks[:, 0]))
    angle = np.float32(2.0 * math.pi) * chunks[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
