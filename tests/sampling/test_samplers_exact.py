"""Samplers with the exact denoiser of a Gaussian, for which every answer is known.

If clean latents are N(mean, spread**2) in each place, then the network's best guess is linear in the latent, and
the probability-flow equation takes a latent from z deviations off the noisy mean to z deviations off the clean one.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from nutshell.errors import UsageError
from nutshell.sampling import (
    PREDICTIONS,
    SAMPLERS,
    Array,
    Diffusion,
    Level,
    NoiseStream,
    Predict,
    Run,
    Sampler,
    SampleStep,
    start,
)

MEAN, SPREAD = 0.7, 0.4
SHAPE = (1, 4, 16, 16)
DETERMINISTIC = ("ddim", "plms", "euler", "heun", "lms", "dpmpp_2m", "unipc")
STOCHASTIC = ("euler_ancestral", "dpmpp_2m_sde")


def exact_network(run: Run, prediction: str) -> Predict:
    """Return the best network; it looks the level of a timestep up in the run."""
    levels = {level.timestep: level for level in run.schedule.levels}

    def predict(latent: Array, timestep: float) -> Array:
        level = levels[timestep]
        clean = best_guess(latent, level)
        noise = (latent - level.alpha * clean) / level.sigma
        return {
            "epsilon": noise,
            "sample": clean,
            "v_prediction": level.alpha * noise - level.sigma * clean,
        }[prediction]

    return predict


def noisy_spread(level: Level) -> float:
    return math.hypot(level.alpha * SPREAD, level.sigma)


def best_guess(latent: Array, level: Level) -> Array:
    gain = level.alpha * SPREAD**2 / noisy_spread(level) ** 2
    return MEAN + gain * (latent - level.alpha * MEAN)


def last_step(run: Run, prediction: str = "epsilon", seed: int = 1) -> tuple[SampleStep, Array]:
    """Return the last step, and where the probability-flow equation leads from the same start."""
    stream = NoiseStream(seed)
    noise = stream.normal(SHAPE).astype(np.float64)
    *_, last = run.sample(exact_network(run, prediction), noise, stream)
    level = run.schedule.levels[0]
    z = (noise * run.schedule.start_scale - level.alpha * MEAN) / noisy_spread(level)
    return last, MEAN + SPREAD * z


def error(name: str, steps: int, prediction: str = "epsilon") -> float:
    """Return the greatest error. Karras's curve, for it ends in small steps, and the last one is of first order."""
    diffusion = Diffusion(prediction=prediction, set_alpha_to_one=True)
    choice = {"spacing": "trailing"} if name in ("ddim", "plms") else {"curve": "karras"}
    last, exact = last_step(start(name, diffusion, steps, **choice), prediction)  # type: ignore[arg-type]
    return float(np.abs(last.latent - exact).max())


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_more_steps_come_nearer_to_the_solution(name: str, prediction: str) -> None:
    few, more, many = (error(name, steps, prediction) for steps in (10, 40, 200))
    assert more < 0.4 * few
    assert many < 0.05


@pytest.mark.parametrize("name", ["heun", "lms", "dpmpp_2m", "unipc"])
def test_higher_orders_beat_euler(name: str) -> None:
    assert error(name, 40) < 0.1 * error("euler", 40)


@pytest.mark.parametrize("curve", ["karras", "exponential", "sgm_uniform"])
@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_samplers_have_the_right_mean_and_spread(name: str, curve: str) -> None:
    last, _ = last_step(start(name, Diffusion(), 60, curve=curve))
    assert last.latent.mean() == pytest.approx(MEAN, abs=0.05)
    assert last.latent.std() == pytest.approx(SPREAD, rel=0.1)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_ddim_with_fresh_noise_has_the_right_mean_and_spread(eta: float) -> None:
    last, _ = last_step(start("ddim", Diffusion(), 100, eta=eta))
    assert last.latent.mean() == pytest.approx(MEAN, abs=0.05)
    assert last.latent.std() == pytest.approx(SPREAD, rel=0.1)


@pytest.mark.parametrize("steps", [1, 4])
def test_lcm_with_the_exact_consistency_function(steps: int) -> None:
    run = start("lcm", Diffusion(prediction="sample"), steps)
    levels = {level.timestep: level for level in run.schedule.levels}

    def predict(latent: Array, timestep: float) -> Array:
        level = levels[timestep]
        return MEAN + SPREAD * (latent - level.alpha * MEAN) / noisy_spread(level)

    stream = NoiseStream(1)
    *_, last = run.sample(predict, stream.normal(SHAPE), stream)
    assert last.latent.mean() == pytest.approx(MEAN, abs=0.05)
    assert last.latent.std() == pytest.approx(SPREAD, rel=0.1)


def test_tcd_without_fresh_noise_is_ddim_on_its_grid() -> None:
    tcd = start("tcd", Diffusion(), 8, eta=0.0)
    ddim = start("ddim", Diffusion(), 8, timesteps=tcd.schedule.timesteps)
    predict = exact_network(tcd, "epsilon")
    noise = NoiseStream(1).normal(SHAPE)
    steps = list(zip(*(run.sample(predict, noise, NoiseStream(2)) for run in (tcd, ddim)), strict=True))
    for one, other in steps[:-1]:
        np.testing.assert_allclose(one.latent, other.latent, atol=1e-5)
    np.testing.assert_allclose(steps[-1][0].denoised, steps[-1][1].latent, atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_steps_are_told(sampler: Sampler) -> None:
    run = start(sampler.name, Diffusion(set_alpha_to_one=True), 5)
    calls: list[float] = []
    counted = counting(exact_network(run, "epsilon"), calls)
    stream = NoiseStream(0)
    steps = list(run.sample(counted, stream.normal(SHAPE), stream))
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    assert {step.total for step in steps} == {5}
    assert tuple(step.timestep for step in steps) == run.schedule.timesteps
    assert len(calls) == run.model_calls
    assert all(step.latent.shape == step.denoised.shape == SHAPE for step in steps)
    if sampler.name != "tcd":
        np.testing.assert_allclose(steps[-1].latent, steps[-1].denoised, atol=0.05)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_zero_snr_gives_numbers(sampler: Sampler) -> None:
    diffusion = Diffusion(zero_snr=True, prediction="v_prediction")
    run = start(sampler.name, diffusion, 6, spacing="trailing" if sampler.takes_spacing else None)
    assert run.schedule.levels[0].timestep == 999
    stream = NoiseStream(0)
    for step in run.sample(lambda latent, timestep: np.tanh(latent), stream.normal(SHAPE), stream):
        assert np.isfinite(step.latent).all()
        assert np.isfinite(step.denoised).all()


def counting(predict: Predict, calls: list[float]) -> Predict:
    def counted(latent: Array, timestep: float) -> Array:
        calls.append(timestep)
        return predict(latent, timestep)

    return counted


def test_dropping_the_generator_stops_the_network() -> None:
    run = start("euler", Diffusion(), 50)
    calls: list[float] = []
    stream = NoiseStream(0)
    steps = run.sample(counting(exact_network(run, "epsilon"), calls), stream.normal(SHAPE), stream)
    next(steps)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert len(calls) == 2


def test_the_same_run_may_be_sampled_twice() -> None:
    run = start("unipc", Diffusion(), 10)
    np.testing.assert_array_equal(last_step(run)[0].latent, last_step(run)[0].latent)


def test_a_blend_sees_every_step_and_decides() -> None:
    run = start("dpmpp_2m", Diffusion(), 6)
    seen: list[int] = []

    def blend(latent: Array, index: int) -> Array:
        seen.append(index)
        return latent if index < 5 else np.zeros_like(latent)

    stream = NoiseStream(0)
    *_, last = run.sample(exact_network(run, "epsilon"), stream.normal(SHAPE), stream, blend=blend)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert not last.latent.any()


def test_a_part_of_a_run_needs_a_picture() -> None:
    run = start("euler", Diffusion(), 10, strength=0.5)
    with pytest.raises(UsageError, match="picture to start from"):
        run.sample(exact_network(run, "epsilon"), NoiseStream(0).normal(SHAPE), NoiseStream(0))
