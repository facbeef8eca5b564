"""The registry: names, aliases, and what they mean."""

from __future__ import annotations

import pytest

from nutshell.errors import UsageError
from nutshell.sampling import SAMPLERS, Diffusion, find_sampler, sampler_of_config, start


@pytest.mark.parametrize(
    ("asked", "name", "curve"),
    [
        ("euler", "euler", None),
        ("Euler a", "euler_ancestral", None),
        ("EulerAncestralDiscreteScheduler", "euler_ancestral", None),
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("dpm++ 2m sde exponential", "dpmpp_2m_sde", "exponential"),
        ("DPM++ 2M SGM Uniform", "dpmpp_2m", "sgm_uniform"),
        ("dpmpp-2m-sde", "dpmpp_2m_sde", None),
        ("DPMSolverMultistepScheduler", "dpmpp_2m", None),
        ("uni_pc", "unipc", None),
        ("LMS Karras", "lms", "karras"),
        ("LCM", "lcm", None),
        ("TCDScheduler", "tcd", None),
        ("DDIM", "ddim", None),
    ],
)
def test_names(asked: str, name: str, curve: str | None) -> None:
    sampler, found_curve = find_sampler(asked)
    assert (sampler.name, found_curve) == (name, curve)


def test_a_configuration_names_its_sampler() -> None:
    solver = "DPMSolverMultistepScheduler"
    assert sampler_of_config({"_class_name": solver}).name == "dpmpp_2m"
    assert sampler_of_config({"_class_name": solver, "algorithm_type": "dpmsolver++"}).name == "dpmpp_2m"
    assert sampler_of_config({"_class_name": solver, "algorithm_type": "sde-dpmsolver++"}).name == "dpmpp_2m_sde"
    assert sampler_of_config({"_class_name": "PNDMScheduler"}).name == "plms"
    assert sampler_of_config({"_class_name": "EulerDiscreteScheduler"}).name == "euler"
    for config in ({}, {"_class_name": "SomeOtherScheduler"}, {"_class_name": solver, "algorithm_type": "dpmsolver"}):
        with pytest.raises(UsageError, match="unknown sampler"):
            sampler_of_config(config)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="unknown sampler 'oiler'") as caught:
        find_sampler("oiler")
    assert all(sampler.name in caught.value.hint for sampler in SAMPLERS)


def test_every_name_finds_its_row() -> None:
    for row in SAMPLERS:
        for name in (row.name, row.title, *row.aliases):
            assert find_sampler(name)[0] is row


def test_curve_and_spacing_come_from_caller_then_name_then_model_then_sampler() -> None:
    model = Diffusion(spacing="trailing", curve="karras")

    def levels(name: str, diffusion: Diffusion, **asked: str) -> tuple[float, ...]:
        return start(name, diffusion, 10, **asked).schedule.ratios  # type: ignore[arg-type]

    plain = Diffusion()
    assert levels("euler", model) == levels("euler", plain, spacing="trailing", curve="karras")
    assert levels("euler exponential", model) == levels("euler", plain, spacing="trailing", curve="exponential")
    assert levels("euler karras", model, curve="model") == levels("euler", plain, spacing="trailing")
    assert levels("euler", plain) == levels("euler", plain, spacing="linspace")
    assert levels("ddim", plain) == levels("ddim", plain, spacing="leading")
    # A model's wish for a curve does not keep it from samplers that have none; a caller's does.
    assert levels("ddim", model) == levels("ddim", plain, spacing="trailing")
    with pytest.raises(UsageError, match="no sigma curve"):
        start("ddim", plain, 10, curve="karras")
    with pytest.raises(UsageError, match="no sigma curve"):
        find_sampler("DDIM Karras")
    with pytest.raises(UsageError, match="own grid"):
        start("lcm", plain, 4, spacing="trailing")


def test_eta_is_for_those_that_have_one() -> None:
    assert start("ddim", Diffusion(), 10).stochastic is False
    assert start("ddim", Diffusion(), 10, eta=0.5).stochastic is True
    assert start("tcd", Diffusion(), 4).eta == 0.3
    with pytest.raises(UsageError, match="no eta"):
        start("euler", Diffusion(), 10, eta=0.5)
    with pytest.raises(UsageError, match="out of range"):
        start("ddim", Diffusion(), 10, eta=1.5)


def test_model_calls() -> None:
    assert start("euler", Diffusion(), 20).model_calls == 20
    assert start("heun", Diffusion(), 20).model_calls == 39
    assert start("heun", Diffusion(), 20, strength=0.5).model_calls == 19
    assert start("plms", Diffusion(), 20).model_calls == 21
    assert [start(row.name, Diffusion(), 1).model_calls for row in SAMPLERS] == [1] * len(SAMPLERS)
