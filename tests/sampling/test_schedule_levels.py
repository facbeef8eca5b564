"""`build_schedule`: its properties for any number of steps, its timesteps against diffusers, its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nutshell.errors import UsageError
from nutshell.sampling import CURVES, PREDICTIONS, SAMPLERS, SPACINGS, Diffusion, Sampler, Schedule, start

samplers = st.sampled_from(SAMPLERS)


def schedule_of(sampler: Sampler, diffusion: Diffusion, steps: int, spacing: str, curve: str) -> Schedule:
    return start(
        sampler.name,
        diffusion,
        steps,
        spacing=spacing if sampler.takes_spacing else None,
        curve=curve if sampler.takes_curve else None,
    ).schedule


@settings(deadline=None)
@given(
    samplers,
    st.integers(1, 1000),
    st.sampled_from(SPACINGS),
    st.sampled_from(CURVES),
    st.booleans(),
    st.sampled_from(PREDICTIONS),
    st.integers(0, 1),
)
def test_noise_falls_from_step_to_step(
    sampler: Sampler, steps: int, spacing: str, curve: str, zero_snr: bool, prediction: str, offset: int
) -> None:
    diffusion = Diffusion(zero_snr=zero_snr, prediction=prediction, steps_offset=offset)
    try:
        schedule = schedule_of(sampler, diffusion, steps, spacing, curve)
    except UsageError:
        assume(False)
    assert schedule.steps == steps
    timesteps = np.array(schedule.timesteps)
    assert timesteps.max() <= 999
    assert timesteps.min() >= 0
    curved = sampler.takes_curve and curve in ("karras", "exponential")
    if curved:
        # DPM++ and UniPC round these timesteps, so neighbours may coincide; the levels never do.
        assert np.all(np.diff(timesteps) <= 0)
    else:
        assert np.all(np.diff(timesteps) < 0)
    assert np.all(np.diff([level.sigma for level in schedule.levels]) < 0)
    for level in (*schedule.levels, *schedule.targets):
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1.0)
        assert level.alpha >= 0.0
    for here, there in zip(schedule.levels, schedule.targets, strict=True):
        assert there.sigma < here.sigma or sampler.name in ("ddim", "plms")
    if sampler.name not in ("ddim", "plms"):
        assert schedule.ratios[-1] == 0.0
        assert schedule.targets[:-1] == schedule.levels[1:]


@settings(deadline=None)
@given(st.integers(1, 1000), st.floats(0.001, 1.0))
def test_strength_keeps_the_last_steps(steps: int, strength: float) -> None:
    whole = start("euler", Diffusion(), steps)
    count = int(steps * strength)
    if count == 0:
        with pytest.raises(UsageError, match="none of") as caught:
            start("euler", Diffusion(), steps, strength=strength)
        least = int(caught.value.hint.split()[3])
        assert least > 1000 or start("euler", Diffusion(), least, strength=strength).steps == 1
        return
    part = start("euler", Diffusion(), steps, strength=strength)
    assert part.schedule.levels == whole.schedule.levels[steps - count :]
    assert part.schedule.targets == whole.schedule.targets[steps - count :]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": 0}, "0 steps"),
        ({"steps": -3}, "-3 steps"),
        ({"steps": 1001}, "1001 steps"),
        ({"steps": 10, "strength": 0.0}, "strength of 0.0"),
        ({"steps": 10, "strength": 1.1}, "strength of 1.1"),
        ({"steps": 10, "strength": 0.05}, "none of 10 steps"),
        ({"steps": 3, "timesteps": (900, 900, 100)}, "do not all fall"),
        ({"steps": 3, "timesteps": (1000, 500, 100)}, "leave the trained"),
        ({"steps": 0, "timesteps": ()}, "0 steps"),
    ],
)
def test_nonsense_is_refused(sampler: Sampler, asked: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        start(sampler.name, Diffusion(), **asked)  # type: ignore[arg-type]


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UsageError, match="spacing 'middling'") as caught:
        start("euler", Diffusion(), 10, spacing="middling")
    assert all(name in caught.value.hint for name in SPACINGS)
    with pytest.raises(UsageError, match="curve 'straight'") as caught:
        start("euler", Diffusion(), 10, curve="straight")
    assert all(name in caught.value.hint for name in CURVES)


def test_more_refusals() -> None:
    with pytest.raises(UsageError, match="distilled"):
        start("lcm", Diffusion(), 51)
    with pytest.raises(UsageError, match="0 distilled steps"):
        start("lcm", Diffusion(distilled_steps=0), 4)
    with pytest.raises(UsageError, match="exclude"):
        start("euler", Diffusion(), 2, curve="karras", timesteps=(999, 100))
    with pytest.raises(UsageError, match="whole timesteps"):
        start("lcm", Diffusion(), 2, timesteps=(999, 499.5))
    # "leading" with DPM++ at 1000 steps: diffusers stays at one timestep for ever.
    with pytest.raises(UsageError, match="do not all fall"):
        start("dpmpp_2m", Diffusion(), 1000, spacing="leading")


def test_a_model_may_wish_for_a_curve_and_get_explicit_timesteps() -> None:
    assert start("euler", Diffusion(curve="karras"), 2, timesteps=(999, 100)).schedule.timesteps == (999, 100)


def test_zero_snr_is_clamped_where_the_ratio_is_used() -> None:
    diffusion = Diffusion(zero_snr=True, prediction="v_prediction")
    assert start("euler", diffusion, 10).schedule.ratios[0] == pytest.approx(4096.0, rel=1e-3)
    assert start("ddim", diffusion, 10, spacing="trailing").schedule.ratios[0] == math.inf


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("curve", ["model", "karras", "exponential"])
@pytest.mark.parametrize("sampler", ["ddim", "euler", "heun", "dpmpp_2m", "unipc", "lcm"])
def test_timesteps_equal_diffusers(sampler: str, curve: str) -> None:
    from diffusers_loop import TAKES_CURVE, scheduler_of

    if curve != "model" and sampler not in TAKES_CURVE:
        curve = "model"
    for spacing in SPACINGS if sampler != "lcm" else ("leading",):
        reference = scheduler_of(sampler, spacing, curve)
        for steps in range(1, 51):
            reference.set_timesteps(steps)
            expected = reference.timesteps.numpy()
            if sampler == "heun":
                expected = np.concatenate([expected[:1], expected[1::2]])
            # In float steps diffusers' range runs once past its end, to timestep -1 (trailing, 49 steps and others).
            expected = expected[:steps]
            asked = None if sampler == "lcm" else spacing
            run = start(sampler, Diffusion(), steps, spacing=asked, curve=None if curve == "model" else curve)
            np.testing.assert_allclose(run.schedule.timesteps, expected, rtol=0, atol=2e-4)
