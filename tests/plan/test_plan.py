"""What the planner chooses, and when it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutshell.errors import EngineUnavailable, NotEnoughMemory
from nutshell.machine import Cpu, Disk, Machine, machine_with
from nutshell.plan import Installed, Need, Plan, Planner, Rates, StageNeed, find_offers, make_plan
from nutshell.plan.scratch import scratch_folder

MB = 1_000_000
GIGA = 10**9
# tiny-sd at 512 pixels, twenty steps without guidance.
NEED = Need(
    (
        StageNeed("text_encoder", 85 * MB, 170 * MB, 3 * MB, 13 * GIGA),
        StageNeed("unet", 323 * MB, 646 * MB, 100 * MB, 488 * GIGA, 20),
        StageNeed("vae_decoder", 50 * MB, 100 * MB, 805 * MB, 2519 * GIGA),
    ),
    steps=20,
)
HERE = Installed(openvino="2026.4", onnx="1.31")
RATES = Rates({"f32": 473e9, "bf16": 993e9, "int8": 1729e9}, 52e9, 400e6, guessed=False)
FEATURES = frozenset({"sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16"})


def machine(megabytes: int) -> Machine:
    return machine_with(usable_bytes=megabytes * MB, cores=2, features=FEATURES)


def planned(megabytes: int = 32_000, need: Need = NEED, installed: Installed = HERE, **options: object) -> Plan:
    here = machine(megabytes)
    offers, refused = find_offers(here, installed)
    return make_plan(here, need, offers, RATES, refused=refused, **options)  # type: ignore[arg-type]


def test_plenty_of_memory_keeps_all_stages() -> None:
    plan = planned()
    assert (plan.engine, plan.device, plan.precision, plan.staged) == ("openvino", "cpu", "bf16", False)
    assert plan.resident == ("text_encoder", "unet", "vae_decoder")
    assert any("stay loaded" in reason for reason in plan.reasons)
    assert plan.threads == 2


def test_stages_are_compiled_ahead_where_both_fit() -> None:
    plan = planned()
    assert plan.overlap
    assert plan.room_to_cache
    # The files, 916 MB, beside what all stages take.
    enough = plan.need_bytes + 916 * MB
    assert planned(max_memory=enough).overlap
    short = planned(max_memory=enough - 1)
    assert (short.staged, short.overlap) == (False, False)
    assert not planned(max_memory=int(1.35 * plan.need_bytes)).room_to_cache
    assert not planned(max_memory=1_600 * MB).overlap
    # Eager PyTorch compiles nothing.
    assert not planned(installed=Installed(torch="2.13.0")).overlap


def test_the_outer_layers_count_as_denoising() -> None:
    outer = StageNeed("unet_outer", 8 * MB, 16 * MB, 30 * MB, 64 * GIGA, 13, with_previous=True)
    text, whole, decoder = NEED.stages
    plain, reused = planned(), planned(need=Need((text, replace(whole, passes=7), outer, decoder), steps=20))
    saved = (13 * 488 - 13 * 64) / (20 * 488)
    assert reused.step_seconds == pytest.approx((1 - saved) * plain.step_seconds, rel=0.05)


def test_little_memory_takes_one_stage_at_a_time() -> None:
    plan = planned(max_memory=1_600 * MB)
    assert plan.staged
    assert plan.resident == ()
    assert plan.need_bytes < planned().need_bytes


def test_less_memory_still_takes_the_weights_in_place() -> None:
    """Of a file in float32, whose pages need no copy."""
    single = tuple(replace(stage, weight_bytes=4 * stage.parameters) for stage in NEED.stages[:2])
    plan = planned(max_memory=1_800 * MB, need=Need(single, steps=20))
    assert (plan.engine, plan.lean) == ("onnx", True)


def test_every_way_but_one_is_rejected_with_a_reason() -> None:
    plan = planned()
    assert len({item.what for item in plan.rejected}) == len(plan.rejected) > 5
    assert all(item.why for item in plan.rejected)


def test_too_little_memory_is_refused_with_the_figure_that_would_do() -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        planned(max_memory=500 * MB)
    error = caught.value
    assert error.need_bytes > error.free_bytes == 500 * MB
    assert f"--max-memory {math.ceil(error.need_bytes / MB)}M" in error.hint
    enough = math.ceil(error.need_bytes / MB) * MB
    assert error.need_bytes <= planned(max_memory=enough).need_bytes <= enough


def test_a_ceiling_above_what_is_free_is_what_is_free() -> None:
    assert planned(4_000, max_memory=90_000 * MB).ceiling_bytes == 4_000 * MB


def test_the_usual_ceiling_is_85_percent() -> None:
    assert planned(10_000).ceiling_bytes == 8_500 * MB


def test_less_precision_takes_less_memory() -> None:
    whole, half = (planned(precision=precision).need_bytes for precision in ("f32", "bf16"))
    assert half < whole


def test_a_precision_that_no_engine_has_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match="f16"):
        planned(precision="f16")


def test_what_is_not_installed_is_advised_and_not_planned() -> None:
    plan = planned(installed=Installed(onnx="1.31"))
    assert plan.engine == "onnx"
    assert any("install openvino" in line for line in plan.advice)
    with pytest.raises(EngineUnavailable, match="no engine"):
        planned(installed=Installed())


def test_eight_bits_are_for_models_that_have_the_scales() -> None:
    assert planned().precision == "bf16"
    assert planned(need=Need(NEED.stages, steps=20, eight_bits=True)).precision == "int8"


EIGHT = Need(NEED.stages, steps=20, eight_bits=True)
OPENVINO = Installed(openvino="2026.4")
AVX2, AVX512 = frozenset({"avx2", "fma"}), frozenset({"avx2", "fma", "avx512f"})


def planner_with(features: frozenset[str], usable_bytes: int = 64_000 * MB, **changes: object) -> Planner:
    made = Planner.of(machine_with(usable_bytes=usable_bytes, features=features), OPENVINO, learn=False)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("features", "chosen", "reason"),
    [
        (AVX512 | {"avx512_vnni", "amx_int8"}, "int8", "int8 on a processor that has AMX: how fast that is was not"),
        (
            AVX512 | {"avx512_vnni"},
            "int8",
            "int8 takes 39% of the time of f32 on this processor, which has AVX-512 with",
        ),
        (AVX2 | {"avx_vnni"}, "int8", "int8 takes 52% of the time of f32 on this processor, which has AVX2 with VNNI"),
        (AVX512, "f32", "int8 would take 2.4 times as long as f32 on this processor, which has AVX-512 without VNNI"),
        (AVX2, "f32", "int8 would take 94% of the time of f32 on this processor, which has AVX2 without"),
    ],
)
def test_eight_bits_are_for_speed_where_vnni_is(features: frozenset[str], chosen: str, reason: str) -> None:
    plan = planner_with(features).plan(EIGHT)
    assert plan.precision == chosen
    assert any(sentence.startswith(reason) for sentence in plan.reasons)


@pytest.mark.parametrize("features", [AVX2, AVX512])
def test_eight_bits_are_for_memory_elsewhere(features: frozenset[str]) -> None:
    """Where float32 fits one stage at a time it is taken, though int8 would keep all of them."""
    resident = planner_with(features).plan(EIGHT)
    small = planner_with(features, precision="int8").plan(EIGHT)
    between = (small.need_bytes + resident.need_bytes) // 2
    staged = planner_with(features, max_memory=between).plan(EIGHT)
    assert (staged.precision, staged.staged) == ("f32", True)
    assert any("for want of memory only" in item.why for item in staged.rejected if "int8" in item.what)
    least = planner_with(features, max_memory=1_280 * MB).plan(Need(NEED.stages[:2], steps=20, eight_bits=True))
    assert least.precision == "int8"


def test_what_was_measured_here_counts_before_the_table() -> None:
    fast = Rates({"f32": 100e9, "int8": 300e9}, 15e9, 400e6, guessed=False)
    plan = planner_with(AVX512, rates=fast).plan(EIGHT)
    assert plan.precision == "int8"
    assert not any("AVX-512" in reason for reason in plan.reasons)
    slow = Rates({"f32": 100e9, "int8": 90e9}, 15e9, 400e6, guessed=False)
    assert planner_with(AVX512 | {"avx512_vnni"}, rates=slow).plan(EIGHT).precision == "f32"


def test_int8_that_was_asked_for_is_taken() -> None:
    plan = planner_with(AVX512, precision="int8").plan(EIGHT)
    assert plan.precision == "int8"
    assert any("int8 takes 2.4 times as long" in reason for reason in plan.reasons)


def test_on_arm_it_is_said_that_nothing_was_measured() -> None:
    here = replace(
        machine(32_000), cpu=Cpu(architecture="aarch64", cores=4, threads=4, features=frozenset({"neon", "dotprod"}))
    )
    planner = Planner.of(here, HERE, learn=False)
    plan = planner.plan(EIGHT)
    assert (plan.engine, plan.precision) == ("openvino", "f32")
    assert any("on ARM" in reason and "documented" in reason for reason in plan.reasons)
    assert any("floating point, by its documentation" in item.why for item in plan.rejected)
    with pytest.raises(EngineUnavailable, match="no int8 on this machine"):
        replace(planner.only("openvino"), precision="int8").plan(EIGHT)


def test_the_engine_stays_where_another_would_win_by_its_import() -> None:
    tiny = Need((StageNeed("unet", MB, 2 * MB, MB, GIGA, 4),), steps=4)
    assert planned(need=tiny, precision="f32").engine == "openvino"


def test_a_process_that_holds_more_needs_more() -> None:
    assert planned(held_bytes=2_000 * MB).need_bytes > planned().need_bytes + 1_500 * MB


def test_one_stage_at_a_time_can_be_asked_for() -> None:
    planner = Planner.of(machine(32_000), HERE, learn=False)
    usual, staged = planner.plan(NEED), planner.one_stage_at_a_time().plan(NEED)
    assert (usual.staged, staged.staged) == (False, True)
    assert staged.need_bytes < usual.need_bytes
    assert planner.one_stage_at_a_time().only("onnx").plan(NEED).staged


def test_an_engine_that_was_asked_for_is_the_only_one() -> None:
    planner = Planner.of(machine(32_000), HERE, learn=False)
    assert planner.only("onnx").plan(NEED).engine == "onnx"
    assert planner.only("numpy").plan(NEED).engine == "numpy"
    with pytest.raises(EngineUnavailable, match="torch:cuda"):
        planner.only("torch:cuda")


def test_an_engine_that_does_not_work_is_left_out_with_its_reason() -> None:
    planner = Planner.of(machine(32_000), HERE, learn=False).without("openvino", "cpu", "it cannot be imported")
    plan = planner.plan(NEED)
    assert plan.engine == "onnx"
    assert "it cannot be imported" in {item.why for item in plan.rejected}


def test_an_opened_engine_knows_its_precisions() -> None:
    planner = Planner.of(machine(32_000), HERE, learn=False).limited("openvino", "cpu", ("f32",))
    assert planner.plan(NEED).precision == "f32"


@given(megabytes=st.integers(0, 40_000))
def test_a_plan_never_needs_more_than_is_allowed(megabytes: int) -> None:
    least = planned(40_000, max_memory=1_000_000 * MB, need=NEED).need_bytes
    try:
        need_bytes = planned(40_000, max_memory=megabytes * MB).need_bytes
    except NotEnoughMemory as refused:
        least, need_bytes = refused.need_bytes, 0
    assert need_bytes <= megabytes * MB < max(least, megabytes * MB + 1)


CUT = Need(
    (*NEED.stages[:2], replace(NEED.stages[2], strip_bytes=170 * MB, strip_operations=3784 * GIGA)),
    steps=20,
    eight_bits=True,
)


def test_the_autoencoder_is_cut_only_where_it_would_not_fit() -> None:
    for enough in (32_000, 1_300):
        assert not planned(max_memory=enough * MB, need=CUT, precision="f32").strips
    short = planned(max_memory=500 * MB, need=CUT)
    assert (short.lean, short.strips) == (True, True)
    assert short.need_bytes <= 500 * MB
    assert any("in strips" in reason for reason in short.reasons)
    whole = [item.why for item in short.rejected if "in place" in item.what and "strips" not in item.what]
    assert whole
    assert all("more than the 500 MB allowed" in why for why in whole)
    # It takes longer.
    assert planned(max_memory=1_300 * MB, need=CUT, precision="f32").picture_seconds < short.picture_seconds


def test_eight_bits_in_place_need_a_folder_on_a_disk(tmp_path: Path) -> None:
    here, asked = machine(32_000), {"max_memory": 500 * MB}
    plain, _ = find_offers(here, HERE)
    with_disk, _ = find_offers(here, HERE, scratch=tmp_path)
    assert make_plan(here, CUT, plain, RATES, **asked).precision == "f32"  # type: ignore[arg-type]
    plan = make_plan(here, CUT, with_disk, RATES, **asked)  # type: ignore[arg-type]
    assert (plan.precision, plan.lean, plan.scratch) == ("int8", True, tmp_path)
    # An older ONNX Runtime would copy them, and a version that is not known may.
    for version in ("1.26.0", "1.9", "unknown"):
        older, _ = find_offers(here, replace(HERE, onnx=version), scratch=tmp_path)
        assert make_plan(here, CUT, older, RATES, **asked).precision == "f32"  # type: ignore[arg-type]
    # A model without scales has none.
    assert make_plan(here, replace(CUT, eight_bits=False), with_disk, RATES, **asked).precision == "f32"  # type: ignore[arg-type]


def test_less_after_too_much() -> None:
    here = machine(8_000)
    planner = Planner(here, find_offers(here, HERE)[0], RATES)
    first = planner.plan(CUT)
    second = planner.under(first.need_bytes)
    assert second.plan(CUT).need_bytes <= int(0.7 * first.need_bytes)
    assert second.under(10**12).ceiling_bytes == second.ceiling_bytes


FOLDERS = {"ext4": True, "tmpfs": False}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_for_made_weights_lies_on_a_disk(kind: str, tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), kind)
    environment = {"NUTSHELL_CONFIG": str(tmp_path / "config.toml")}
    found = scratch_folder(replace(machine(1_000), disks=(disk,)), environment)
    assert found == (tmp_path / "cache" / "scratch" if FOLDERS[kind] else None)
    assert scratch_folder(machine(1_000), {"NUTSHELL_CONFIG": ""}) is None
    assert scratch_folder(machine(1_000), {}) is None
