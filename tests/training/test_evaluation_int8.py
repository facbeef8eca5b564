"""A small random-weight model in eight bits, by the scales seen while it drew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
pytest.importorskip("torch")
pytest.importorskip("diffusers")

import nutshell
from nutshell.networks.ops import Network
from nutshell.quantization import FULL_WEIGHT, SAFE_WEIGHT
from tests.pipeline.conftest import build_pipeline
from training.evaluate.contender import Contender
from training.evaluate.int8 import examples, in_eight_bits, largest_weight, observe
from training.evaluate.prompts import load_prompts

pytestmark = pytest.mark.reference

PARTS = {"text_encoder", "unet", "vae_decoder"}


def test_a_model_runs_in_eight_bits_by_the_scales_it_was_seen_with(tmp_path: Path) -> None:
    build_pipeline(tmp_path / "small", tiny_vae=True)
    contender = Contender("small", str(tmp_path / "small"), steps=2, guidance=2.0)
    scales = observe(contender, ["a cat", "一只狗"])
    assert set(scales) == PARTS
    assert all(scales.values())

    ran: list[str] = []
    eight_bits = in_eight_bits(scales, largest_weight())

    def noted(network: Network) -> Network:
        ran.append(eight_bits(network).name)
        return eight_bits(network)

    pictures = []
    for rewrite in (None, noted):
        with nutshell.load(contender.model, precision="f32", rewrite=rewrite) as model:
            pictures.append(np.asarray(model.generate("a bear", seed=1, **contender.request).image, np.float32))
    assert len(ran) == 3
    assert all(name.endswith("int8") for name in ran)
    error = float(np.sqrt(np.mean((pictures[0] - pictures[1]) ** 2)))
    assert 0 < error < 0.25 * float(pictures[0].std())


def test_networks_without_scales_stay_as_they_are() -> None:
    network = Network("vae_encoder", "vae_encoder", {}, lambda ops, weights, inputs: None)
    assert in_eight_bits({}, FULL_WEIGHT)(network) is network
    assert in_eight_bits({"vae_encoder": {}}, FULL_WEIGHT)(replace(network)).name == "vae_encoder int8"


def test_the_largest_weight_is_the_safe_one_where_nothing_tells(tmp_path: Path) -> None:
    processor = tmp_path / "cpuinfo"
    assert largest_weight(processor) == SAFE_WEIGHT
    processor.write_text("flags : sse4_2 avx2")
    assert largest_weight(processor) == SAFE_WEIGHT
    processor.write_text("flags : sse4_2 avx2 avx512f avx512_vnni")
    assert largest_weight(processor) == FULL_WEIGHT


def test_examples_are_in_both_languages_and_not_what_is_measured() -> None:
    assert len(examples()) == 13
    assert not set(examples()) & {prompt.text for prompt in load_prompts()}
    assert 3 <= sum(not text.isascii() for text in examples()) <= 10
