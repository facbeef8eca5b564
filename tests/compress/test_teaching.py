"""The mathematics of distilling against diffusers' schedulers and sums by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from nutshell.compress.teaching.ddim import trailing_steps, trajectory, turn  # noqa: E402
from nutshell.compress.teaching.few_steps import FewSteps  # noqa: E402
from nutshell.compress.teaching.losses import distillation_loss, shared_features  # noqa: E402
from nutshell.compress.teaching.noise import add_noise  # noqa: E402

pytestmark = pytest.mark.reference


def scheduler_of(prediction: str) -> Any:
    return diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction,
        timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=False,
    )  # fmt: skip


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_a_run_is_that_of_the_scheduler(prediction: str) -> None:
    torch.manual_seed(0)
    scheduler, start = scheduler_of(prediction), torch.randn(2, 4, 8, 8)

    def predict(latents: Any, steps: Any) -> Any:
        return torch.tanh(latents) * (0.2 + steps.view(-1, 1, 1, 1) / 1000)

    ours = trajectory(predict, start, scheduler.alphas_cumprod, 20, 5, prediction)
    scheduler.set_timesteps(20)
    latents, kept = start, [start]
    assert scheduler.timesteps.tolist() == trailing_steps(20)
    for number, step in enumerate(scheduler.timesteps):
        latents = scheduler.step(predict(latents, step.repeat(2)), step, latents).prev_sample
        if (number + 1) % 5 == 0:
            kept.append(latents)
    torch.testing.assert_close(ours, torch.stack(kept, dim=1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_what_a_few_steps_aim_at_leads_along_the_run(prediction: str) -> None:
    """Whoever predicts exactly that has no error, and walks from state to state."""
    torch.manual_seed(0)
    alphas = scheduler_of(prediction).alphas_cumprod
    few, states = FewSteps.of(4, alphas, prediction), torch.randn(3, 5, 4, 2, 2)

    def right(latents: Any, steps: Any) -> Any:
        number = few.steps.index(int(steps[0]))
        a, b = turn(
            float(alphas[steps[0]]), float(alphas[few.steps[number + 1]] if number < 3 else alphas[0]), prediction
        )
        return (states[: len(latents), number + 1] - a * latents) / b

    assert float(few.run_loss(right, states)) < 1e-6
    for number in range(4):
        assert float(few.loss(right, states, torch.full((3,), number))) < 1e-6
    wrong = float(few.run_loss(lambda latents, steps: right(latents, steps) + 0.1, states))
    assert wrong > 1e-3


def test_an_error_on_the_noise_counts_what_min_snr_says() -> None:
    scheduler = scheduler_of("epsilon")
    latents, noise, steps = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2), torch.tensor([5, 500, 990])
    noised = add_noise(latents, steps, scheduler.alphas_cumprod, noise, "epsilon")
    torch.testing.assert_close(noised.noisy, scheduler.add_noise(latents, noise, steps))
    assert torch.equal(noised.target, noise)
    ratios = [float(alpha / (1 - alpha)) for alpha in scheduler.alphas_cumprod[steps]]
    by_hand = sum(0.01 * min(ratio, 5.0) / ratio for ratio in ratios) / 3
    assert float(noised.error(noise + 0.1, cap=5.0)) == pytest.approx(by_hand, rel=1e-4)
    clean = add_noise(latents, steps, scheduler.alphas_cumprod, noise, "sample")
    assert torch.equal(clean.target, latents)
    by_hand = sum(0.01 * min(ratio, 5.0) for ratio in ratios) / 3
    assert float(clean.error(latents + 0.1, cap=5.0)) == pytest.approx(by_hand, rel=1e-4)


def test_the_loss_is_the_weighted_sum_of_its_three_errors() -> None:
    torch.manual_seed(0)
    alphas = scheduler_of("v_prediction").alphas_cumprod
    noised = add_noise(torch.randn(2, 4, 2, 2), torch.tensor([900, 900]), alphas)
    wanted, feature = noised.target + 0.3, torch.full((2, 3, 2, 2), 2.0)
    weights = SimpleNamespace(output_weight=2.0, feature_weight=3.0, data_weight=5.0, snr_cap=1e9)
    found = distillation_loss(
        noised, noised.target, wanted, {"up0": feature + 1}, {"up0": feature, "x": feature}, weights
    )
    assert float(found) == pytest.approx(2 * 0.09 + 3 * 0.25 + 0, rel=1e-4)
    assert float(distillation_loss(noised, wanted, wanted, {}, {}, weights)) == pytest.approx(5 * 0.09, rel=1e-4)


def test_features_of_one_resolution_are_compared() -> None:
    assert set(shared_features(4, 4, True)) == {
        "down0",
        "down1",
        "down2",
        "down3",
        "middle",
        "up0",
        "up1",
        "up2",
        "up3",
    }
    assert set(shared_features(3, 4, False)) == {"down0", "down1", "up0", "up1", "up2"}
