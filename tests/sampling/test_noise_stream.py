"""`NoiseStream` against `torch.randn` on a CPU generator."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nutshell.errors import UsageError
from nutshell.sampling import NoiseStream, NoiseStreams

SEEDS = [0, 1, 42, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 2**63 - 1, 2**63, 2**64 - 1, -1, -5, -(2**63), 123456789012]
SHAPES = [(), (1,), (3,), (7,), (15,), (0,), (5, 3), (16,), (17,), (31,), (32,), (33,), (2, 4, 9, 7), (1, 4, 32, 32)]


@pytest.mark.reference
@pytest.mark.parametrize("seed", SEEDS)
def test_mixed_draws_equal_torch(seed: int) -> None:
    import torch

    generator = torch.Generator("cpu").manual_seed(seed)
    stream = NoiseStream(seed)
    for shape in random.Random(seed).choices(SHAPES, k=60):
        expected = torch.randn(shape, generator=generator).numpy()
        found = stream.normal(shape)
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        # Not to the bit: torch takes logarithm, sine and cosine from its own vector library.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.reference
@pytest.mark.parametrize("size", range(1, 70))
def test_every_small_size_equals_torch(size: int) -> None:
    import torch

    generator = torch.Generator("cpu").manual_seed(size)
    stream = NoiseStream(size)
    for _ in range(3):
        expected = torch.randn(size, generator=generator).numpy()
        np.testing.assert_allclose(stream.normal((size,)), expected, rtol=0, atol=1e-6)


@pytest.mark.reference
def test_a_seed_a_picture_equals_diffusers_list_of_generators() -> None:
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in (3, 9)]
    streams = NoiseStreams((3, 9))
    for _ in range(2):
        expected = randn_tensor((2, 4, 8, 8), generator=generators).numpy()
        np.testing.assert_allclose(streams.normal((2, 4, 8, 8)), expected, rtol=0, atol=1e-6)


def test_known_values() -> None:
    # torch.randn(4) and torch.randn(16)[:4] after manual_seed(0), so that this holds without torch too.
    np.testing.assert_allclose(NoiseStream(0).normal((4,)), [1.5409961, -0.2934289, -2.1787894, 0.56843126], atol=1e-6)
    np.testing.assert_allclose(
        NoiseStream(0).normal((16,))[:4], [-1.1258398, -1.1523602, -0.25057858, -0.4338788], atol=1e-6
    )


def test_streams_are_independent_and_repeatable() -> None:
    first, second = NoiseStream(7), NoiseStream(7)
    a = first.normal((100,))
    NoiseStream(8).normal((100,))
    np.testing.assert_array_equal(a, second.normal((100,)))
    assert not np.array_equal(a, first.normal((100,)))


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        NoiseStream(seed)


def test_a_batch_needs_as_many_seeds() -> None:
    with pytest.raises(UsageError, match="batch of 3"):
        NoiseStreams((1, 2)).normal((3, 4, 8, 8))
