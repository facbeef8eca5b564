"""Builds a diffusers scheduler for one of our samplers, and runs it as diffusers' pipelines do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import diffusers
import numpy as np
import torch

from nutshell.sampling import PREDICTIONS, SPACINGS, Array, Diffusion, NoiseStream, Run

diffusers.logging.set_verbosity_error()
torch.set_num_threads(1)

SHAPE = (2, 4, 8, 8)
SEED = 11
STEPS = {"lcm": 8, "tcd": 8}  # 20 for the others
CLASSES = {
    "ddim": "DDIMScheduler",
    "plms": "PNDMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "lms": "LMSDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "dpmpp_2m_sde": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "lcm": "LCMScheduler",
    "tcd": "TCDScheduler",
}
DRAWS_NOISE = ("ddim", "euler_ancestral", "dpmpp_2m_sde", "lcm", "tcd")
TAKES_CURVE = ("euler", "heun", "lms", "dpmpp_2m", "dpmpp_2m_sde", "unipc")

Case = tuple[str, str, str, str, bool]  # sampler, spacing, curve, prediction, zero_snr


def cases() -> Iterator[Case]:
    """Yield every combination that diffusers has. What is left out, and why, is said at each `continue`."""
    for case in product(CLASSES, SPACINGS, ("model", "karras", "exponential"), PREDICTIONS, (False, True)):
        sampler, spacing, curve, prediction, zero_snr = case
        if curve != "model" and sampler not in TAKES_CURVE:
            continue  # no such option there (Euler a: ours has it, see test_curves_that_diffusers_lacks)
        if zero_snr and sampler in ("heun", "lms", "plms"):
            continue  # no rescale_betas_zero_snr there (ours has: test_zero_snr_that_diffusers_lacks)
        if prediction == "sample" and sampler in ("euler_ancestral", "plms"):
            continue  # NotImplementedError or ValueError there
        if sampler in ("lcm", "tcd") and spacing != "leading":
            continue  # spacing is ignored there: the distilled grid is the only one
        if zero_snr and prediction == "epsilon" and (sampler in ("lcm", "tcd") or case[:2] in BLIND_DDIM):
            continue  # a division by zero there (ours: UsageError, see test_blind_starts_are_refused)
        yield case


BLIND_DDIM = (("ddim", "trailing"), ("ddim", "linspace"))


def diffusion_of(prediction: str, zero_snr: bool) -> Diffusion:
    return Diffusion(prediction=prediction, zero_snr=zero_snr)


def scheduler_of(
    sampler: str, spacing: str, curve: str = "model", prediction: str = "epsilon", zero_snr: bool = False, **more: Any
) -> Any:
    """Return diffusers' scheduler with the facts of `diffusion_of`; its timesteps are not set yet."""
    options: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": prediction,
        "steps_offset": 1,
        "timestep_spacing": spacing,
    }
    if zero_snr:
        options["rescale_betas_zero_snr"] = True
    if curve != "model":
        options[f"use_{curve}_sigmas"] = True
    if sampler == "dpmpp_2m_sde":
        options["algorithm_type"] = "sde-dpmsolver++"
    if sampler in ("ddim", "plms", "lcm", "tcd"):
        options["set_alpha_to_one"] = False
    if sampler == "plms":
        options["skip_prk_steps"] = True  # as Stable Diffusion has it
    if sampler == "ddim":
        options["clip_sample"] = False  # its default clips latents, which no latent model wants
    return getattr(diffusers, CLASSES[sampler])(**options, **more)


def network(latent: Any, timestep: float) -> Any:
    """A fake network: smooth, nonlinear, mixes neighbours, works alike on NumPy and torch."""
    library = torch if isinstance(latent, torch.Tensor) else np
    side = library.roll(latent, 1, -1)
    return library.tanh(0.6 * latent + 0.3 * side + float(np.sin(timestep / 150.0))) + 0.2 * latent


def diffusers_picture(
    scheduler: Any,
    sampler: str,
    image: Array | None = None,
    strength: float = 1.0,
    mask: Array | None = None,
    eta: float | None = None,
    double: bool = False,
) -> Array:
    """Text to picture; with `image` image to image; with `mask` too inpainting. Timesteps must be set already."""
    generator = torch.Generator("cpu").manual_seed(SEED)
    extra: dict[str, Any] = {"generator": generator} if sampler in DRAWS_NOISE else {}
    if eta is not None:
        extra["eta"] = eta
    noise = torch.randn(SHAPE, generator=generator)
    if double:
        noise, scheduler.sigmas = noise.double(), scheduler.sigmas.double()
    timesteps = scheduler.timesteps
    latent = noise * scheduler.init_noise_sigma
    clean = torch.zeros(SHAPE) if image is None else torch.from_numpy(image)
    if image is not None:
        # As `get_timesteps` of the image-to-image pipelines; with Heun, `timesteps` holds two a step but the first.
        steps = (len(timesteps) + scheduler.order - 1) // scheduler.order
        first = (steps - min(int(steps * strength), steps)) * scheduler.order
        timesteps = timesteps[first:]
        if sampler == "plms":
            # There, the list is [t0, t1, t1, t2, ...]; pipelines cut it at the wrong place, and without the repeated
            # one every later call is told a timestep below its latent's. It is shown the list of a run from there.
            single = torch.cat([scheduler.timesteps[:1], scheduler.timesteps[2:]])
            single = single[len(single) - max(int(len(single) * strength), 1) :]
            timesteps = torch.cat([single[:2], single[1:]])
        if sampler == "lms":
            # From a begin index, diffusers 0.42 takes the coefficients of an order for which it has no slopes yet, and
            # drops those left over: the first steps overshoot. So it is shown sigmas that start there instead.
            scheduler.sigmas, scheduler.timesteps, first = scheduler.sigmas[first:], timesteps, 0
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        if mask is None or strength < 1.0:
            latent = scheduler.add_noise(clean, noise, timesteps[:1])
    for index, timestep in enumerate(timesteps):
        output = network(scheduler.scale_model_input(latent, timestep), float(timestep))
        latent = scheduler.step(output, timestep, latent, return_dict=False, **extra)[0]
        if mask is not None:
            known = clean
            if index < len(timesteps) - 1:
                known = scheduler.add_noise(clean, noise, torch.tensor([timesteps[index + 1]]))
            latent = (1 - torch.from_numpy(mask)) * known + torch.from_numpy(mask) * latent
    result: Array = latent.numpy()
    return result


def our_picture(run: Run, image: Array | None = None, mask: Array | None = None, double: bool = False) -> Array:
    """Do what `diffusers_picture` does, by `Run`."""
    stream = NoiseStream(SEED)
    noise: Array = stream.normal(SHAPE)
    if double:
        noise = noise.astype(np.float64)
    blend = None
    start_from = image
    if image is not None and mask is not None:
        blend = run.inpaint_blend(image, noise, mask)
        start_from = image if not run.whole else None
    *_, last = run.sample(network, noise, stream, image=start_from, blend=blend)
    assert last.latent.dtype == last.denoised.dtype == noise.dtype
    return last.latent


def assert_same(found: Array, expected: Array, tolerance: float = 1e-4) -> None:
    """Compare, `tolerance` in standard deviations of what is expected."""
    assert np.isfinite(expected).all()
    assert np.abs(found - expected).max() <= tolerance * expected.std()
