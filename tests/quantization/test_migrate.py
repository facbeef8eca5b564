"""Scale migration: the same in float32, far less lost in eight bits where a channel sticks out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from examples import F32, LARGEST_WEIGHT, random_weights, snr

from nutshell.engines import open_engine
from nutshell.engines.cost import price
from nutshell.errors import UnsupportedModel
from nutshell.networks import clip_text, unet
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.ops import Input, Network, Ops
from nutshell.networks.unet import Thrift
from nutshell.quantization import (
    Around,
    Migration,
    NormSeen,
    Record,
    Scales,
    clipped,
    migrated,
    observed,
    quantized,
    scales_of,
    sensed,
    smoothed,
)
from nutshell.quantization.wrap import layer_names
from nutshell.weights import Quantized, Tensor, Weights
from tests.quantization.examples import UNET

CHANNELS, OUT = 32, 48
RANDOM = np.random.default_rng(11)
TEXT = ClipTextConfig(64, 128, heads=2, layers=2, positions=16, vocabulary=50, activation="quick_gelu")


def normed(ops: Ops[Any], weights: Weights, inputs: Any) -> Any:
    """A norm with two linears behind it, one of them without a bias."""
    scope = weights.at("norm")
    h = ops.layer_norm(inputs["x"], scope.take("weight", (CHANNELS,)), scope.take("bias", (CHANNELS,)), 1e-5)
    a = ops.linear(h, weights.take("a.weight", (OUT, CHANNELS)), weights.take("a.bias", (OUT,)))
    return ops.add(a, ops.linear(h, weights.take("b.weight", (OUT, CHANNELS)), None))


NETWORK = Network("unet", "normed", {"x": Input((1, 40, CHANNELS))}, normed)


def example(seed: int = 5) -> F32:
    return np.random.default_rng(seed).standard_normal((1, 40, CHANNELS)).astype(np.float32)


def outlying(outlier: float = 60.0) -> Weights:
    """Channel 7 of the norm's output is so many times as large as the others, as in many trained transformers."""
    weight = np.ones(CHANNELS, np.float32)
    weight[7] = outlier
    values = {
        "norm.weight": weight,
        "norm.bias": np.float32(0.1) * RANDOM.standard_normal(CHANNELS).astype(np.float32),
        "a.weight": RANDOM.standard_normal((OUT, CHANNELS)).astype(np.float32),
        "a.bias": RANDOM.standard_normal(OUT).astype(np.float32),
        "b.weight": RANDOM.standard_normal((OUT, CHANNELS)).astype(np.float32),
    }
    values["a.weight"][:, 7] /= outlier
    values["b.weight"][:, 7] /= outlier
    return Weights({name: Tensor.of(f"file.{name}", value) for name, value in values.items()}, "test")


def watched(network: Network, weights: Weights, *inputs: dict[str, F32]) -> tuple[Record, Around]:
    record: Record = {}
    around = Around()
    session = open_engine("numpy").compile(observed(network, record, around), weights)
    for given in inputs:
        session(**given)
    return record, around


def by_name(weights: Weights) -> dict[str, Tensor]:
    return {name: tensor for tensor, name in layer_names(weights).items()}


def test_an_outlying_channel_is_moved_and_little_is_lost() -> None:
    weights = outlying()
    record, around = watched(NETWORK, weights, *({"x": example(seed)} for seed in range(4)))
    scales = scales_of(record, keep=())
    found = smoothed(around.norms["norm"], by_name(weights), scales)
    assert found is not None
    assert found.migration.linears == ("a", "b")
    assert found.migration.factors[7] > 4 * np.median(found.migration.factors)
    moved: Scales = dict.fromkeys(("a", "b"), found.scale)
    inputs = {"x": example(99)}
    wanted = open_engine("numpy").compile(NETWORK, weights)(**inputs)
    plain = open_engine("numpy").compile(quantized(NETWORK, scales), weights)(**inputs)
    small = quantized(NETWORK, moved, migrations={"norm": found.migration})
    better = open_engine("numpy").compile(small, weights)(**inputs)
    assert snr(plain, wanted) < 28
    assert snr(better, wanted) > 37
    assert found.gain_db == pytest.approx(snr(better, wanted) - snr(plain, wanted), abs=5)


@pytest.mark.parametrize("engine", ["openvino", "onnx", "torch"])
def test_engines_compute_the_same(engine: str) -> None:
    if engine == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    weights = outlying()
    record, around = watched(NETWORK, weights, {"x": example()})
    found = smoothed(around.norms["norm"], by_name(weights), scales_of(record, keep=()))
    assert found is not None
    # One linear in eight bits; the other stays, and still must take the factors.
    for scales in ({"a": found.scale, "b": found.scale}, {"a": found.scale}):
        small = quantized(NETWORK, scales, LARGEST_WEIGHT, migrations={"norm": found.migration})
        wanted = open_engine("numpy").compile(small, weights)(x=example(3))
        session = open_engine(engine).compile(small, weights, "f32", threads=1)
        for _ in range(2):
            assert snr(session(x=example(3)), wanted) > 60
        session.close()


def random_moves(around: Around, channels: dict[str, int]) -> dict[str, Migration]:
    random = np.random.default_rng(8)
    return {
        norm: Migration.near(seen.linears, np.exp(random.uniform(-2, 2, channels[norm])))
        for norm, seen in around.norms.items()
    }


CASES: dict[str, Callable[[], tuple[Network, Network, Weights]]] = {
    "text encoder": lambda: (
        clip_text.text_encoder(TEXT),
        clip_text.text_encoder(TEXT),
        random_weights(clip_text.account, TEXT),
    ),
    **{
        f"unet{thrift.words}": lambda thrift=thrift: (  # type: ignore[misc]
            unet.denoiser(UNET, 8, 8, 5),
            unet.denoiser(UNET, 8, 8, 5, thrift=thrift),
            random_weights(unet.account, UNET),
        )
        for thrift in (Thrift(), Thrift(merge=0.5), Thrift(fewer_keys=True))
    },
}


@pytest.mark.parametrize("engine", ["numpy", "openvino", "onnx"])
@pytest.mark.parametrize("case", list(CASES))
def test_alone_it_changes_nothing(case: str, engine: str) -> None:
    """Whatever was watched as it is, also with what is left out of it on request."""
    network, thrifty, weights = CASES[case]()
    random = np.random.default_rng(2)
    inputs = {name: random.standard_normal(given.shape).astype(np.float32) for name, given in network.inputs.items()}
    _, around = watched(network, weights, inputs)
    assert len(around.norms) == (4 if case == "text encoder" else 9)
    sizes = {name: tensor.shape[0] for name, tensor in by_name(weights).items()}
    plain = open_engine(engine).compile(thrifty, weights, "f32", threads=1)
    moved = open_engine(engine).compile(migrated(thrifty, random_moves(around, sizes)), weights, "f32", threads=1)
    wanted = plain(**inputs)
    np.testing.assert_allclose(moved(**inputs), wanted, rtol=1e-5, atol=1e-5 * float(np.abs(wanted).max()))


def test_a_norm_without_outliers_stays() -> None:
    weights = outlying(1.0)
    record, around = watched(NETWORK, weights, *({"x": example(seed)} for seed in range(4)))
    assert smoothed(around.norms["norm"], by_name(weights), scales_of(record, keep=())) is None


def test_nothing_is_moved_where_no_layer_is_in_eight_bits() -> None:
    weights = outlying()
    moved = Migration.near(("a", "b"), np.linspace(1, 4, CHANNELS))
    network = quantized(NETWORK, {}, migrations={"norm": moved})
    engine = open_engine("numpy")
    np.testing.assert_array_equal(
        engine.compile(network, weights)(x=example()), engine.compile(NETWORK, weights)(x=example())
    )


def test_weights_that_are_stored_in_eight_bits_stay() -> None:
    values = RANDOM.integers(-127, 128, (OUT, CHANNELS)).astype(np.int8)
    scales = Tensor.of("a.weight.scale", np.full(OUT, 0.01, np.float32))
    whole = Tensor.of("a.weight", values)
    stored = dict(zip(outlying().names(), outlying().tensors(), strict=True))
    stored["a.weight"] = Quantized("a.weight", "I8", values.shape, whole.data, 0, values.shape, scales)
    weights = Weights(stored, "test")
    record, around = watched(NETWORK, weights, {"x": example()})
    assert smoothed(around.norms["norm"], by_name(weights), scales_of(record, keep=())) is None


@pytest.mark.parametrize(
    "migrations",
    [
        {"norm": Migration(("a", "nowhere"), (0,) * CHANNELS)},
        {"elsewhere": Migration(("a",), (0,) * CHANNELS)},
        {"norm": Migration(("a", "b"), (0,) * (CHANNELS - 1))},
    ],
)
def test_another_models_migrations_are_refused(migrations: dict[str, Migration]) -> None:
    weights = outlying()
    record, _ = watched(NETWORK, weights, {"x": example()})
    network = quantized(NETWORK, scales_of(record, keep=()), migrations=migrations)
    with pytest.raises(UnsupportedModel):
        open_engine("openvino").compile(network, weights)


def test_pricing_reads_no_weight() -> None:
    weights = outlying()
    record, _ = watched(NETWORK, weights, {"x": example()})
    stored = zip(weights.names(), weights.tensors(), strict=True)
    bare = Weights({name: Tensor(name, tensor.dtype, tensor.shape) for name, tensor in stored}, "test")
    moved = {"norm": Migration(("a", "b"), (0,) * CHANNELS)}
    assert price(quantized(NETWORK, scales_of(record, keep=()), migrations=moved), bare).parameters > 0


def test_a_layers_own_loss_is_measured_with_the_migration() -> None:
    weights = outlying()
    record, around = watched(NETWORK, weights, {"x": example()})
    scales = scales_of(record, keep=())
    found = smoothed(around.norms["norm"], by_name(weights), scales)
    assert found is not None
    noises: list[dict[str, Any]] = [{}, {}]
    engine = open_engine("numpy")
    engine.compile(sensed(NETWORK, scales, noises[0]), weights)(x=example())
    moved = {"a": found.scale, "b": found.scale}
    out = engine.compile(sensed(NETWORK, moved, noises[1], {"norm": found.migration}), weights)(x=example())
    np.testing.assert_array_equal(out, engine.compile(NETWORK, weights)(x=example()))
    assert noises[1]["a"].db > noises[0]["a"].db + 6


def test_rows_stand_for_all_and_runs_add_up() -> None:
    seen = NormSeen(["a"])
    values = [np.random.default_rng(seed).standard_normal((1, 100, 8)).astype(np.float32) for seed in range(50)]
    for value in values:
        seen.add(value)
    every = np.concatenate(values).reshape(-1, 8)
    assert len(seen.rows) == len(seen.stands) <= 512
    assert seen.stands.sum() == pytest.approx(len(every), rel=0.05)
    np.testing.assert_array_equal(seen.low, every.min(axis=0))
    np.testing.assert_array_equal(seen.high, every.max(axis=0))
    other = NormSeen(["b"], storable=False)
    other.merge(seen)
    assert other.linears == ["b", "a"]
    assert not other.storable
    np.testing.assert_array_equal(other.reach, np.abs(every).max(axis=0))


def test_factors_are_within_a_tenth() -> None:
    factors = np.exp(np.random.default_rng(3).uniform(-8, 8, 200))
    kept = Migration.near(("a",), factors)
    np.testing.assert_allclose(kept.factors, factors, rtol=0.1)
    assert replace(kept, steps=(0, 4, -4)).factors.tolist() == [1, 2, 0.5]


def test_values_between_scales_are_found_by_the_same_search() -> None:
    """The kept rows stand for everything that was seen: their scale is near the one over all of it."""
    weights = outlying()
    record, around = watched(NETWORK, weights, *({"x": example(seed)} for seed in range(8)))
    found = smoothed(around.norms["norm"], by_name(weights), scales_of(record, keep=()))
    assert found is not None
    whole: Record = {}
    engine = open_engine("numpy")
    session = engine.compile(migrated(observed(NETWORK, whole), {"norm": found.migration}), weights)
    for seed in range(8):
        session(x=example(seed))
    assert found.scale.scale == pytest.approx(clipped(whole["a"].inputs).scale, rel=0.1)
