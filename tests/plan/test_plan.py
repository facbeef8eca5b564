"""What the planner chooses, and when it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutshell.errors import EngineUnavailable, NotEnoughMemory
from nutshell.machine import Machine, machine_with
from nutshell.plan import EngineChoice, StageNeed, make_plan

MB = 1_000_000
STAGES = (
    StageNeed("text_encoder", 123 * MB, 246 * MB, 10 * MB),
    StageNeed("unet", 323 * MB, 646 * MB, 60 * MB),
    StageNeed("vae_decoder", 50 * MB, 100 * MB, 130 * MB),
)
OPENVINO = EngineChoice("openvino", ("bf16", "f32"))


def machine(megabytes: int) -> Machine:
    return machine_with(usable_bytes=megabytes * MB, cores=2)


def test_plenty_of_memory_keeps_all_stages() -> None:
    plan = make_plan(machine(16_000), STAGES, OPENVINO)
    assert (plan.engine, plan.precision, plan.staged) == ("openvino", "bf16", False)
    assert any("stay loaded" in reason for reason in plan.reasons)


def test_little_memory_takes_one_stage_at_a_time() -> None:
    plan = make_plan(machine(2_400), STAGES, OPENVINO)
    assert plan.staged
    assert plan.need_bytes < make_plan(machine(16_000), STAGES, OPENVINO).need_bytes


def test_too_little_memory_is_refused_with_both_figures() -> None:
    with pytest.raises(NotEnoughMemory, match="700 MB are free") as caught:
        make_plan(machine(700), STAGES, OPENVINO)
    assert caught.value.need_bytes > caught.value.free_bytes == 700 * MB
    assert caught.value.hint


def test_less_precision_takes_less_memory() -> None:
    whole, half = (make_plan(machine(16_000), STAGES, OPENVINO, precision).need_bytes for precision in ("f32", "bf16"))
    assert half < whole


def test_a_precision_that_the_engine_lacks_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match="f16"):
        make_plan(machine(16_000), STAGES, OPENVINO, "f16")


@given(megabytes=st.integers(0, 40_000))
def test_a_plan_never_needs_more_than_there_is(megabytes: int) -> None:
    least = make_plan(machine(40_000), STAGES[1:2], OPENVINO).need_bytes  # The largest stage alone.
    if megabytes * MB < least:
        with pytest.raises(NotEnoughMemory) as caught:
            make_plan(machine(megabytes), STAGES, OPENVINO)
        assert caught.value.need_bytes == least
    else:
        plan = make_plan(machine(megabytes), STAGES, OPENVINO)
        assert plan.need_bytes <= megabytes * MB
        assert len(plan.reasons) == 3
