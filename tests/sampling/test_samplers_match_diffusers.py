"""Every sampler against its diffusers scheduler, from the same noise with the same fake network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diffusers_loop import (
    BLIND_DDIM,
    CLASSES,
    SHAPE,
    STEPS,
    TAKES_CURVE,
    Case,
    assert_same,
    cases,
    diffusers_picture,
    diffusion_of,
    network,
    our_picture,
    scheduler_of,
)

from nutshell.errors import UsageError
from nutshell.sampling import SAMPLERS, SPACINGS, Array, Diffusion, NoiseStream, Run, start

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")]
every_case = pytest.mark.parametrize("case", list(cases()), ids=lambda case: "-".join(map(str, case)))


def our_run(case: Case, steps: int, **more: Any) -> Run:
    sampler, spacing, curve, prediction, zero_snr = case
    own_grid = sampler in ("lcm", "tcd")
    return start(
        sampler,
        diffusion_of(prediction, zero_snr),
        steps,
        spacing=None if own_grid else spacing,
        curve=None if curve == "model" else curve,
        **more,
    )


def test_every_sampler_is_compared() -> None:
    assert set(CLASSES) == {sampler.name for sampler in SAMPLERS}
    assert {case[0] for case in cases()} == set(CLASSES)


@every_case
def test_text_to_picture(case: Case) -> None:
    steps = STEPS.get(case[0], 20)
    scheduler = scheduler_of(*case)
    scheduler.set_timesteps(steps)
    assert_same(our_picture(our_run(case, steps)), diffusers_picture(scheduler, case[0]))


@pytest.mark.parametrize("strength", [0.8, 0.3])
@every_case
def test_image_to_image(case: Case, strength: float) -> None:
    compare_image_to_image(case, strength)


@pytest.mark.parametrize("strength", [1.0, 0.95, 0.55, 0.13])
@pytest.mark.parametrize("sampler", CLASSES)
def test_more_strengths(sampler: str, strength: float) -> None:
    for curve in ("model", "karras") if sampler in TAKES_CURVE else ("model",):
        compare_image_to_image((sampler, "leading", curve, "epsilon", False), strength)


def compare_image_to_image(case: Case, strength: float) -> None:
    sampler = case[0]
    steps = STEPS.get(sampler, 20)
    scheduler = scheduler_of(*case)
    scheduler.set_timesteps(steps)
    image = 0.8 * NoiseStream(5).normal(SHAPE)
    run = our_run(case, steps, strength=strength)
    expected = diffusers_picture(scheduler, sampler, image=image, strength=strength)
    assert_same(our_picture(run, image=image), expected)


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sampler", CLASSES)
def test_inpainting(sampler: str, spacing: str, strength: float) -> None:
    steps = STEPS.get(sampler, 20)
    case: Case = (sampler, spacing, "model", "epsilon", False)
    scheduler = scheduler_of(*case)
    scheduler.set_timesteps(steps)
    image = 0.8 * NoiseStream(5).normal(SHAPE)
    mask = np.zeros((1, 1, *SHAPE[2:]), np.float32)
    mask[..., 2:6, 3:] = 1.0
    found = our_picture(our_run(case, steps, strength=strength), image=image, mask=mask)
    assert_same(found, diffusers_picture(scheduler, sampler, image=image, strength=strength, mask=mask))
    np.testing.assert_allclose(np.where(mask == 0, found, 0), np.where(mask == 0, image, 0), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 14, 15, 33])
@pytest.mark.parametrize("curve", ["model", "karras"])
@pytest.mark.parametrize("sampler", [name for name in CLASSES if name not in ("lcm", "tcd")])
def test_few_and_odd_numbers_of_steps(sampler: str, curve: str, steps: int) -> None:
    if curve != "model" and sampler not in TAKES_CURVE:
        curve = "model"
    for spacing in SPACINGS:
        case: Case = (sampler, spacing, curve, "v_prediction", False)
        scheduler = scheduler_of(*case)
        scheduler.set_timesteps(steps)
        assert_same(our_picture(our_run(case, steps)), diffusers_picture(scheduler, sampler))


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("to_one", [False, True])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_ddim_eta_and_last_level(spacing: str, to_one: bool, eta: float) -> None:
    scheduler = scheduler_of("ddim", spacing)
    scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0] ** (0 if to_one else 1)
    scheduler.set_timesteps(20)
    run = start("ddim", Diffusion(set_alpha_to_one=to_one), 20, spacing=spacing, eta=eta)
    assert_same(our_picture(run), diffusers_picture(scheduler, "ddim", eta=eta))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("eta", [0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_tcd_eta(steps: int, eta: float, prediction: str) -> None:
    scheduler = scheduler_of("tcd", "leading", prediction=prediction)
    scheduler.set_timesteps(steps)
    run = start("tcd", diffusion_of(prediction, False), steps, eta=eta)
    assert_same(our_picture(run), diffusers_picture(scheduler, "tcd", eta=eta))


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 50])
def test_lcm_steps(steps: int) -> None:
    scheduler = scheduler_of("lcm", "leading")
    scheduler.set_timesteps(steps)
    assert_same(our_picture(start("lcm", Diffusion(), steps)), diffusers_picture(scheduler, "lcm"))


@pytest.mark.parametrize("sampler", ["lcm", "tcd", "euler", "heun", "dpmpp_2m", "dpmpp_2m_sde"])
def test_explicit_timesteps(sampler: str) -> None:
    timesteps = [999, 759, 499, 259]
    scheduler = scheduler_of(sampler, "leading")
    scheduler.set_timesteps(timesteps=timesteps)
    spacing = None if sampler in ("lcm", "tcd") else "leading"
    run = start(sampler, Diffusion(), 4, timesteps=timesteps, spacing=spacing)
    assert_same(our_picture(run), diffusers_picture(scheduler, sampler))


@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_sgm_uniform_is_what_web_uis_have(sampler: str) -> None:
    # A1111 and ComfyUI: evenly from the last trained timestep to 0, one step more, without the last.
    scheduler = scheduler_of(sampler, "trailing")
    scheduler.set_timesteps(timesteps=np.linspace(999, 0, 21)[:-1])
    run = start(f"{sampler} sgm uniform", Diffusion(), 20)
    assert_same(our_picture(run), diffusers_picture(scheduler, sampler))


def test_curves_that_diffusers_lacks() -> None:
    """Euler a with Karras's curve, as web UIs have it: diffusers' steps on the sigmas of diffusers' Euler."""
    scheduler = scheduler_of("euler_ancestral", "linspace")
    curved = scheduler_of("euler", "linspace", "karras")
    curved.set_timesteps(20)
    scheduler.sigmas, scheduler.timesteps = curved.sigmas, curved.timesteps
    run = start("Euler a Karras", Diffusion(), 20)
    assert_same(our_picture(run), diffusers_picture(scheduler, "euler_ancestral"))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sampler", ["heun", "lms"])
def test_zero_snr_that_diffusers_lacks(sampler: str, spacing: str) -> None:
    """Heun and LMS on the table that diffusers' Euler has for zero-SNR.

    In float64, for from a ratio of 4096 diffusers' Heun loses three digits in float32; ours loses one.
    """
    scheduler = scheduler_of(sampler, spacing, prediction="v_prediction")
    scheduler.alphas_cumprod = scheduler_of("euler", spacing, zero_snr=True).alphas_cumprod
    scheduler.set_timesteps(20)
    run = start(sampler, diffusion_of("v_prediction", True), 20, spacing=spacing)
    expected = diffusers_picture(scheduler, sampler, double=True)
    assert_same(our_picture(run, double=True), expected)
    assert_same(our_picture(run), expected)


@pytest.mark.parametrize(("sampler", "spacing"), [*BLIND_DDIM, ("lcm", None), ("tcd", None)])
def test_blind_starts_are_refused(sampler: str, spacing: str | None) -> None:
    with pytest.raises(UsageError, match="zero signal"):
        start(sampler, diffusion_of("epsilon", True), 8, spacing=spacing)
    assert start(sampler, diffusion_of("epsilon", True), 8, spacing=spacing, strength=0.5).steps == 4


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_2m_sde", "lcm", "tcd"])
def test_noise_is_drawn_as_often_as_by_diffusers(sampler: str) -> None:
    """So that whoever goes on with the stream (the next picture of a batch) stays in step."""
    import torch

    generator = torch.Generator("cpu").manual_seed(3)
    scheduler = scheduler_of(sampler, "leading")
    scheduler.set_timesteps(4)
    latent = torch.randn(SHAPE, generator=generator)
    for timestep in scheduler.timesteps:
        scheduler.scale_model_input(latent, timestep)
        latent = scheduler.step(latent, timestep, latent, generator=generator, return_dict=False)[0]
    stream = NoiseStream(3)
    for _ in start(sampler, Diffusion(), 4).sample(network, stream.normal(SHAPE), stream):
        pass
    expected: Array = torch.randn(SHAPE, generator=generator).numpy()
    np.testing.assert_allclose(stream.normal(SHAPE), expected, atol=1e-6)
