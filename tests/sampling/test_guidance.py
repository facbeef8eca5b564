"""Classifier-free guidance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutshell.errors import UsageError
from nutshell.sampling import Array, NoiseStream, guided

LATENT = NoiseStream(0).normal((2, 4, 8, 8))


def conditional(latent: Array, timestep: float) -> Array:
    return np.tanh(latent) + np.float32(timestep / 1000)


def unconditional(latent: Array, timestep: float) -> Array:
    return 0.5 * latent


def never(latent: Array, timestep: float) -> Array:
    raise AssertionError("the unconditional network was called")


@settings(deadline=None)
@given(st.floats(0, 999))
def test_scale_1_is_the_conditional_alone(timestep: float) -> None:
    for without in (never, None):
        predict = guided(conditional, without, scale=1.0, rescale=0.7)
        np.testing.assert_array_equal(predict(LATENT, timestep), conditional(LATENT, timestep))


@settings(deadline=None)
@given(st.floats(0, 999), st.floats(0, 1), st.floats(0, 1))
def test_outside_the_interval_the_second_network_rests(timestep: float, one: float, other: float) -> None:
    begin, end = sorted((one, other))
    calls = []

    def counted(latent: Array, timestep: float) -> Array:
        calls.append(timestep)
        return unconditional(latent, timestep)

    output = guided(conditional, counted, scale=5.0, interval=(begin, end))(LATENT, timestep)
    inside = begin <= 1 - timestep / 999 <= end
    assert len(calls) == inside
    if not inside:
        np.testing.assert_array_equal(output, conditional(LATENT, timestep))


def test_the_whole_interval_holds_both_ends() -> None:
    predict = guided(conditional, unconditional, scale=3.0)
    for timestep in (0.0, 999.0):
        expected = 3.0 * conditional(LATENT, timestep) - 2.0 * unconditional(LATENT, timestep)
        np.testing.assert_allclose(predict(LATENT, timestep), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.reference
@pytest.mark.parametrize("rescale", [0.3, 0.7, 1.0])
def test_rescale_equals_diffusers(rescale: float) -> None:
    import torch
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    plain = guided(conditional, unconditional, scale=7.5)(LATENT, 300.0)
    expected = rescale_noise_cfg(torch.from_numpy(plain), torch.from_numpy(conditional(LATENT, 300.0)), rescale)
    found = guided(conditional, unconditional, scale=7.5, rescale=rescale)(LATENT, 300.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="unconditional"):
        guided(conditional, None, scale=2.0)
    with pytest.raises(UsageError, match="interval"):
        guided(conditional, unconditional, scale=2.0, interval=(0.8, 0.2))
    with pytest.raises(UsageError, match="rescale"):
        guided(conditional, unconditional, scale=2.0, rescale=1.5)
