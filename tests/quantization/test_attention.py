"""Queries and keys in eight bits: by hand, in every engine, and what OpenVINO runs in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from examples import F32, VNNI, random_weights, snr

from nutshell.engines import open_engine
from nutshell.networks import unet
from nutshell.networks.ops import Network
from nutshell.networks.unet import Thrift
from nutshell.quantization import (
    Around,
    AttentionScales,
    Histogram,
    Scale,
    attention_scales,
    observed,
    with_int8_attention,
)
from nutshell.quantization.scales import symmetric
from nutshell.weights import Weights
from tests.quantization.examples import UNET

NETWORK = unet.denoiser(UNET, 8, 8, 5)
# Two transformer layers on the way up, one on the way down, and in each an attention to itself and to the condition.
ATTENTIONS = 6


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights(unet.account, UNET)


def inputs(seed: int = 1) -> dict[str, F32]:
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(given.shape).astype(np.float32) for name, given in NETWORK.inputs.items()}


@pytest.fixture(scope="module")
def scales(weights: Weights) -> AttentionScales:
    around = Around()
    session = open_engine("numpy").compile(observed(NETWORK, {}, around), weights)
    for seed in range(3):
        session(**inputs(seed))
    return attention_scales(around.attention)


def by_hand(query: F32, key: F32, value: F32, heads: int) -> F32:
    """In float64, from the formula."""
    q, k, v = (
        part[0].reshape(len(part[0]), heads, -1).transpose(1, 0, 2).astype(float) for part in (query, key, value)
    )
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = shares / shares.sum(-1, keepdims=True) @ v
    return np.asarray(mixed.transpose(1, 0, 2).reshape(1, len(query[0]), -1), np.float32)


def test_every_attention_has_scales_under_the_name_of_its_queries(scales: AttentionScales) -> None:
    assert len(scales) == ATTENTIONS
    assert {name.rpartition(".")[2] for name in scales} == {"to_q"}
    assert all(part.zero_point == 128 for scale in scales.values() for part in (scale.query, scale.key))


def test_queries_and_keys_are_rounded_and_nothing_else(
    weights: Weights, scales: AttentionScales, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nutshell.engines.numpy_engine import NumpyOps

    seen: list[tuple[F32, ...]] = []
    attention = NumpyOps.attention

    def noted(self: NumpyOps, query: F32, key: F32, value: F32, heads: int, causal: bool) -> F32:
        out = attention(self, query, key, value, heads, causal)
        seen.append((query, key, value, out))
        np.testing.assert_allclose(out, by_hand(query, key, value, heads), rtol=1e-4, atol=1e-5)
        return out

    monkeypatch.setattr(NumpyOps, "attention", noted)
    engine = open_engine("numpy")
    engine.compile(NETWORK, weights)(**inputs())
    engine.compile(with_int8_attention(NETWORK, scales), weights)(**inputs())
    plain, rounded = seen[:ATTENTIONS], seen[ATTENTIONS:]
    assert len(rounded) == ATTENTIONS
    # Of the first attention everything before it is the same.
    first = next(iter(scales.values()))
    for place, scale in enumerate((first.query, first.key)):
        wanted = np.clip(np.round(plain[0][place] / scale.scale) + 128, 0, 255) - 128
        np.testing.assert_allclose(rounded[0][place], wanted * np.float32(scale.scale), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(rounded[0][2], plain[0][2])


@pytest.mark.parametrize("thrift", [Thrift(), Thrift(merge=0.5), Thrift(fewer_keys=True)])
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_engines_compute_the_same(engine: str, thrift: Thrift, weights: Weights, scales: AttentionScales) -> None:
    if engine == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    network = unet.denoiser(UNET, 8, 8, 5, thrift=replace(thrift, int8_attention=True))
    assert network.int8_attention
    small = with_int8_attention(network, scales)
    wanted, full = (open_engine("numpy").compile(way, weights)(**inputs(7)) for way in (small, network))
    session = open_engine(engine).compile(small, weights, "f32", threads=1)
    got = session(**inputs(7))
    session.close()
    # Where a value lies on the edge between two steps, engines may round it to either side.
    assert snr(got, wanted) > 45
    assert 30 < snr(wanted, full) < 80


def executed(network: Network, weights: Weights, precision: str) -> list[str]:
    """The arithmetic of what OpenVINO fused with each softmax."""
    session: Any = open_engine("openvino").compile(network, weights, precision, threads=1)
    found = []
    for node in session._compiled.get_runtime_model().get_ops():
        facts = {key: str(value.astype(str)) for key, value in node.get_rt_info().items()}
        if "Softmax" in facts.get("originalLayersNames", "") or facts["layerType"] == "ScaledDotProductAttention":
            found.append(facts["runtimePrecision"])
    session.close()
    return found


@pytest.mark.skipif(not VNNI, reason="no VNNI on this processor (or no /proc/cpuinfo to tell by)")
@pytest.mark.parametrize("precision", open_engine("openvino").precisions)
def test_openvino_multiplies_integers(weights: Weights, scales: AttentionScales, precision: str) -> None:
    plain = executed(NETWORK, weights, precision)
    small = executed(with_int8_attention(NETWORK, scales), weights, precision)
    assert len(plain) == len(small) == ATTENTIONS
    assert "i8" not in plain
    # In float16 it makes numbers of the integers again: the pipeline does not ask for it there.
    assert set(small) == {"f16" if precision == "f16" else "i8"}


@pytest.mark.parametrize("precision", open_engine("openvino").precisions)
def test_as_many_keys_as_a_head_is_wide(weights: Weights, scales: AttentionScales, precision: str) -> None:
    """OpenVINO computes nonsense there in bfloat16: these stay as they are."""
    network = unet.denoiser(UNET, 8, 8, 32)
    random = np.random.default_rng(5)
    given = {name: random.standard_normal(each.shape).astype(np.float32) for name, each in network.inputs.items()}
    wanted = open_engine("numpy").compile(network, weights)(**given)
    session = open_engine("openvino").compile(with_int8_attention(network, scales), weights, precision, threads=1)
    got = session(**given)
    session.close()
    assert 30 < snr(got, wanted) < 80


def test_a_symmetric_scale_loses_least_of_those_that_are_tried() -> None:
    seen = Histogram()
    values = np.random.default_rng(4).standard_normal(20_000).astype(np.float32)
    values[:3] = 9
    seen.add(values)

    def loss(scale: float) -> float:
        return float(np.mean((np.clip(np.round(values / scale), -128, 127) * scale - values) ** 2))

    found = symmetric(seen)
    assert found.zero_point == 128
    # Tails are clipped, for finer steps.
    assert found.scale < 9 / 127
    assert loss(found.scale) <= 1.02 * min(loss(float(bound) / 127) for bound in np.linspace(1, 9, 200))
    alone = Histogram()
    alone.add(np.full(3, -2, np.float32))
    assert symmetric(alone).scale * 127 == pytest.approx(2, rel=0.05)
    assert isinstance(symmetric(alone), Scale)
