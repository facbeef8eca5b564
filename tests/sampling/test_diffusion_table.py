"""`Diffusion`: what it reads from a configuration, and the table of signal."""

from __future__ import annotations

import numpy as np
import pytest

from nutshell.errors import UsageError
from nutshell.sampling import Diffusion
from nutshell.sampling.diffusion import LEAST_SIGNAL, signal_table

STABLE_DIFFUSION_1 = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}


def test_no_configuration_is_stable_diffusion_1() -> None:
    assert Diffusion.from_config(None) == Diffusion.from_config(STABLE_DIFFUSION_1) == Diffusion()


def test_a_configuration_is_read() -> None:
    diffusion = Diffusion.from_config(
        {
            "beta_schedule": "linear",
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
            "timestep_spacing": "trailing",
            "use_karras_sigmas": True,
            "original_inference_steps": 100,
        }
    )
    assert diffusion == Diffusion(
        beta_schedule="linear",
        prediction="v_prediction",
        zero_snr=True,
        spacing="trailing",
        curve="karras",
        distilled_steps=100,
        steps_offset=0,
        set_alpha_to_one=True,
    )


def test_trained_betas_bring_their_length() -> None:
    diffusion = Diffusion.from_config({"trained_betas": [0.1, 0.2, 0.5]})
    assert diffusion.train_steps == 3
    np.testing.assert_allclose(signal_table(diffusion), [0.9, 0.72, 0.36], rtol=1e-6)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"prediction": "flow"}, "prediction type 'flow'"),
        ({"beta_schedule": "cubic"}, "beta schedule 'cubic'"),
        ({"spacing": "middling"}, "timestep spacing 'middling'"),
        ({"curve": "beta"}, "sigma curve 'beta'"),
        ({"train_steps": 1}, "1 training steps"),
        ({"trained_betas": (0.1,)}, "1 trained betas"),
    ],
)
def test_nonsense_is_refused(facts: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Diffusion().replace(**facts)


def test_replace_refuses_unknown_facts() -> None:
    with pytest.raises(UsageError, match="no colour"):
        Diffusion().replace(colour="red")


@pytest.mark.reference
@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_the_table_equals_diffusers(beta_schedule: str, zero_snr: bool) -> None:
    from diffusers import DDIMScheduler

    reference = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule=beta_schedule, rescale_betas_zero_snr=zero_snr
    )
    table = signal_table(Diffusion(beta_schedule=beta_schedule, zero_snr=zero_snr))
    np.testing.assert_allclose(table, reference.alphas_cumprod.numpy(), rtol=5e-5, atol=0)


def test_zero_snr_ends_without_signal() -> None:
    diffusion = Diffusion(zero_snr=True)
    assert signal_table(diffusion)[-1] == 0.0
    assert signal_table(diffusion, LEAST_SIGNAL)[-1] == LEAST_SIGNAL
    assert not signal_table(diffusion).flags.writeable
