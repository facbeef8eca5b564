"""Int8: which layers, at what cost, and close to float32 in every kind of network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from examples import F32, assert_same_eight_bits, random_weights

from nutshell.engines import open_engine
from nutshell.engines.cost import price
from nutshell.errors import UnsupportedModel, UsageError
from nutshell.networks import autoencoder_tiny, clip_text, unet
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.ops import Network
from nutshell.quantization import Record, Scale, Seen, delicate, observed, quantized, scales_of
from nutshell.weights import Tensor, Weights
from tests.quantization.examples import UNET

TINY = AutoencoderTinyConfig((32,) * 4, (32,) * 4, (1, 1, 1, 1), (1, 1, 1, 1))
TEXT = ClipTextConfig(64, 128, heads=2, layers=2, positions=16, vocabulary=50, activation="quick_gelu")


@dataclass(frozen=True)
class Subject:
    network: Network
    weights: Weights

    def inputs(self, seed: int) -> dict[str, F32]:
        random = np.random.default_rng(seed)
        return {
            name: random.standard_normal(given.shape).astype(np.float32) for name, given in self.network.inputs.items()
        }

    def record(self) -> Record:
        record: Record = {}
        session = open_engine("numpy").compile(observed(self.network, record), self.weights)
        for seed in range(8):
            session(**self.inputs(seed))
        return record


def tiny(network: Network) -> Subject:
    return Subject(network, random_weights(autoencoder_tiny.account, TINY))


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "unet": lambda: Subject(unet.denoiser(UNET, 4, 4, 5), random_weights(unet.account, UNET)),
    "tiny decoder": lambda: tiny(autoencoder_tiny.decoder(TINY, 2, 2)),
    "tiny encoder": lambda: tiny(autoencoder_tiny.encoder(TINY, 16, 16)),
    "text encoder": lambda: Subject(clip_text.text_encoder(TEXT), random_weights(clip_text.account, TEXT)),
}


@pytest.fixture(scope="module", params=list(SUBJECTS))
def case(request: pytest.FixtureRequest) -> tuple[Subject, Record]:
    subject = SUBJECTS[request.param]()
    return subject, subject.record()


@pytest.mark.parametrize("engine", ["openvino", "onnx", "torch"])
def test_engines_compute_the_same_eight_bits(case: tuple[Subject, Record], engine: str) -> None:
    subject, record = case
    # ONNX Runtime joins a convolution, a ReLU and the next quantizer to one integer operator, for which it
    # rounds the bias to whole steps of the sum: as good, and not the same to the last bit.
    joined = engine == "onnx" and subject.network.part.startswith("vae")
    assert_same_eight_bits(
        subject.network,
        subject.weights,
        scales_of(record),
        engine,
        [subject.inputs(seed) for seed in (20, 21, 22)],
        least=40 if joined else 80,
    )


def test_pricing_reads_no_weight_and_knows_that_eight_bits_are_fewer(case: tuple[Subject, Record]) -> None:
    subject, record = case
    stored = zip(subject.weights.names(), subject.weights.tensors(), strict=True)
    bare = Weights({name: Tensor(name, tensor.dtype, tensor.shape) for name, tensor in stored})
    plain = price(subject.network, bare)
    small = price(quantized(subject.network, scales_of(record)), bare)
    assert small.parameters == plain.parameters
    assert 0.25 * plain.weight_bytes < small.weight_bytes < 0.5 * plain.weight_bytes


def test_layers_are_kept_by_name() -> None:
    subject = SUBJECTS["unet"]()
    record = subject.record()
    kept = delicate(record)
    assert {"conv_in", "conv_out"} < kept
    assert all(name in ("conv_in", "conv_out") or name.endswith(".conv_shortcut") for name in kept)
    assert scales_of(record).keys() == record.keys() - kept
    assert scales_of(record, keep=["conv_in"]).keys() == record.keys() - {"conv_in"}
    inputs = subject.inputs(9)
    plain = open_engine("numpy").compile(subject.network, subject.weights)(**inputs)
    nothing = open_engine("numpy").compile(quantized(subject.network, {}), subject.weights)(**inputs)
    np.testing.assert_array_equal(nothing, plain)


def test_a_layer_to_keep_must_exist() -> None:
    record = {"a": Seen((32, 32, 3, 3))}
    record["a"].inputs.add(np.ones(3, np.float32))
    with pytest.raises(UsageError, match="'b'"):
        scales_of(record, keep=["b"])


def test_a_layer_that_saw_only_zeros_is_kept() -> None:
    record = {name: Seen((32, 32)) for name in "ab"}
    record["a"].inputs.add(np.zeros(3, np.float32))
    record["b"].inputs.add(np.ones(3, np.float32))
    assert list(scales_of(record)) == ["b"]


def test_scales_of_another_model_are_refused() -> None:
    subject = SUBJECTS["text encoder"]()
    other = quantized(subject.network, {"down_blocks.0.resnets.0.conv1": Scale(0.1, 3)})
    with pytest.raises(UnsupportedModel, match=r"down_blocks.0.resnets.0.conv1"):
        open_engine("openvino").compile(other, subject.weights)


def test_a_network_in_eight_bits_has_its_own_name() -> None:
    network = SUBJECTS["text encoder"]().network
    small = quantized(network, {"encoder.layers.0.mlp.fc1": Scale(0.1, 3)})
    assert small.name != network.name
    assert (small.part, small.inputs) == (network.part, network.inputs)
