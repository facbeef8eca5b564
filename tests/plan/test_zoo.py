"""The rules of the planner over recorded machines: which device, which precision, how much memory."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import cache

import pytest

from nutshell.catalogue import cards
from nutshell.errors import EngineUnavailable, NotEnoughMemory
from nutshell.machine import Machine, probe
from nutshell.pipeline.needs import card_need
from nutshell.plan import Installed, Need, Plan, Planner, StageNeed
from tests.machines import NAMES, ZOO, Recorded

# Everything there is, whatever the machine: then only the rules choose.
ALL = Installed(openvino="2026.4.0", onnx="1.31.0", torch="2.13.0", torch_npu="2.13.0")
MODELS = ("tiny-sd", "stable-diffusion-1.5", "stable-diffusion-2.1", "sdxl")


@cache
def recorded(name: str) -> Machine:
    return probe(Recorded(ZOO / name))


@cache
def need(model: str) -> Need:
    card = cards()[model]
    return card_need(card, card.width, card.height, card.steps)


def plan(machine: Machine | str, model: str = "stable-diffusion-1.5", installed: Installed = ALL) -> Plan:
    machine = recorded(machine) if isinstance(machine, str) else machine
    return Planner.of(machine, installed, learn=False).plan(need(model))


def every_plan(machine: Machine) -> list[Plan]:
    plans = []
    for model in MODELS:
        with contextlib.suppress(NotEnoughMemory):
            plans.append(plan(machine, model))
    return plans


@pytest.mark.parametrize("name", NAMES)
def test_every_machine_is_planned_for(name: str) -> None:
    machine = recorded(name)
    for each in every_plan(machine):
        assert each.need_bytes <= each.ceiling_bytes <= 0.85 * machine.usable_bytes + 1
        assert each.picture_seconds > each.load_seconds > 0
        assert each.reasons
        assert each.precision != "int8"


@pytest.mark.parametrize("name", NAMES)
def test_cards_that_are_too_small_or_dropped_are_never_given_work(name: str) -> None:
    machine = recorded(name)
    unfit = {
        gpu.name
        for gpu in machine.gpus
        if (gpu.vendor != "apple" and ((gpu.memory_bytes or 0) < 2 * 2**30 or gpu.kind == "integrated"))
        or (gpu.vendor == "nvidia" and (gpu.compute_capability or (0, 0)) < (7, 0))
    }
    for each in every_plan(machine):
        assert each.device_title not in unfit
        assert unfit <= {item.what for item in each.rejected}


@pytest.mark.parametrize(
    ("name", "reason"), [("gtx-1050-2gb", "less than 2 GB"), ("windows-gtx-1060", "6.1 is below 7.0")]
)
def test_these_cards_are_left_alone(name: str, reason: str) -> None:
    drawn = plan(name, "tiny-sd")
    assert drawn.device == "cpu"
    assert any(reason in item.why for item in drawn.rejected)


def test_gtx_16_is_not_given_float16() -> None:
    drawn = plan("gtx-1650-4gb", "tiny-sd")
    assert not (drawn.device.startswith("cuda") and drawn.precision != "f32")
    assert not any("torch:cuda, f16" in item.what for item in drawn.rejected)


def test_small_cards_take_half_precision_one_stage_at_a_time() -> None:
    """An RTX 3060's chip with 4 GB: as in laptops."""
    roomy = recorded("rtx-3060-12gb")
    small = replace(roomy, gpus=(replace(roomy.gpus[0], memory_bytes=4 * 2**30, free_bytes=4 * 10**9),))
    drawn = plan(small)
    assert (drawn.device, drawn.precision, drawn.staged) == ("cuda", "f16", True)


def test_larger_cards_keep_all_stages() -> None:
    drawn = plan("rtx-3060-12gb")
    assert (drawn.device, drawn.precision, drawn.staged) == ("cuda", "f16", False)


@pytest.mark.parametrize(("gigabytes", "fits"), [(2, False), (4, False), (8, True), (12, True)])
def test_sdxl_and_controlnet_want_more_than_6_gb(gigabytes: int, fits: bool) -> None:
    roomy = recorded("rtx-3060-12gb")
    size = gigabytes * 2**30
    machine = replace(roomy, gpus=(replace(roomy.gpus[0], memory_bytes=size, free_bytes=size - 3 * 10**8),))
    # The processor is left out: what the card holds is asked.
    planner = Planner.of(machine, Installed(torch="2.13.0"), learn=False)
    sdxl = replace_offers(planner, "cuda")
    if fits:
        assert sdxl.plan(need("sdxl")).device == "cuda"
        base = need("stable-diffusion-1.5")
        controlled = Need((*base.stages, StageNeed("controlnet", 361_279_120, 722_558_240, 100_000_000, 3 * 10**11)))
        assert not sdxl.plan(controlled).staged
    else:
        with pytest.raises(NotEnoughMemory):
            sdxl.plan(need("sdxl"))


def replace_offers(planner: Planner, device: str) -> Planner:
    return replace(planner, offers=tuple(offer for offer in planner.offers if offer.device == device))


def test_apple_chips_use_mps() -> None:
    # Eight gigabytes, of which less than five are free: a model that fits.
    assert plan("apple-m1-8gb", "tiny-sd").device == "mps"
    assert plan("mac-rosetta", "tiny-sd").device == "cpu"
    assert plan("mac-intel", "tiny-sd").device == "cpu"


@pytest.mark.parametrize("name", ["ascend-310", "ascend-910"])
def test_ascend_uses_cann(name: str) -> None:
    assert plan(name, "tiny-sd").device.startswith("npu")
    without = plan(name, "tiny-sd", Installed(openvino="2026.4.0", onnx="1.31.0"))
    assert without.device == "cpu"
    assert any("torch_npu" in line for line in without.advice)


def test_without_pytorch_a_card_is_advised() -> None:
    drawn = plan("rtx-3060-12gb", installed=Installed(openvino="2026.4.0", onnx="1.31.0"))
    assert drawn.device == "cpu"
    assert any("nutshell[torch]" in line and "3060" in line for line in drawn.advice)
    cpu_build = plan("rtx-3060-12gb", installed=replace(ALL, torch="2.13.0+cpu"))
    assert cpu_build.device == "cpu"


def test_the_second_card_has_a_place_of_its_own() -> None:
    planner = Planner.of(recorded("dual-rtx-4090"), ALL, learn=False)
    assert [offer.device for offer in planner.offers if offer.on_card] == ["cuda", "cuda:1"]


def test_a_root_in_memory_and_a_group_s_limit_count_as_used() -> None:
    for name in ("container-512mb", "container-cgroup-v1", "live-tmpfs-root", "live-stick"):
        machine = recorded(name)
        memory = machine.memory
        ceiling = Planner.of(machine, ALL, learn=False).ceiling_bytes
        assert ceiling < 0.85 * (memory.total_bytes or 0)
        if memory.cgroup_limit_bytes is not None:
            assert ceiling <= 0.85 * memory.cgroup_limit_bytes
    # The full autoencoder fits in strips, and no less will do.
    small = plan("container-512mb")
    assert (small.lean, small.strips) == (True, True)
    with pytest.raises(NotEnoughMemory):
        Planner.of(recorded("container-512mb"), ALL, learn=False, max_memory=250_000_000).plan(
            need("stable-diffusion-1.5")
        )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("core-2-duo", "OpenVINO 2026.4.0 needs SSE4.2, which this processor lacks"),
        ("celeron-2gb", "OpenVINO 2026.4.0 is no longer made for processors without AVX2"),
    ],
)
def test_old_processors_are_not_given_openvino(name: str, reason: str) -> None:
    planner = Planner.of(recorded(name), ALL, learn=False)
    offers = {offer.engine for offer in planner.offers}
    assert "openvino" not in offers
    assert offers & {"onnx", "numpy"}
    assert any(reason in item.why for item in planner.refused)
    with pytest.raises(EngineUnavailable) as caught:
        planner.only("openvino")
    assert reason in caught.value.hint
    # Nor is it advised where it is not installed.
    assert "openvino" not in {
        offer.engine for offer in Planner.of(recorded(name), Installed(onnx="1.31"), learn=False).offers
    }


def test_an_openvino_that_was_tried_is_taken() -> None:
    planner = Planner.of(recorded("celeron-2gb"), ALL, learn=False).only("openvino", ("f32",))
    assert [offer.precisions for offer in planner.offers] == [("f32", "int8", "int8_weights")]


def test_half_precision_only_where_the_processor_has_it() -> None:
    assert plan("sapphire-rapids", installed=Installed(openvino="2026.4.0")).precision == "bf16"
    assert plan("epyc-zen4", installed=Installed(openvino="2026.4.0")).precision == "bf16"
    assert plan("laptop-8gb-intel", "tiny-sd", Installed(openvino="2026.4.0")).precision == "f32"
