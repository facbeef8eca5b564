"""What OpenVINO runs in the end, read from its own graph: integer kernels for every layer in eight bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from examples import VNNI, picture

from nutshell.engines import open_engine
from nutshell.networks import autoencoder_tiny, unet
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.ops import Network
from nutshell.networks.unet_config import UNetConfig
from nutshell.quantization import Record, observed, quantized, scales_of
from nutshell.store import builtin_folder
from nutshell.weights import Weights, open_checkpoint

pytestmark = pytest.mark.skipif(not VNNI, reason="no VNNI on this processor (or no /proc/cpuinfo to tell by)")


def executed(network: Network, weights: Weights, precision: str) -> Iterator[tuple[str, str]]:
    """(kind, arithmetic) of each layer with a weight: ("Convolution", "u8")."""
    session: Any = open_engine("openvino").compile(network, weights, precision, threads=1)
    for node in session._compiled.get_runtime_model().get_ops():
        facts = {key: str(value.astype(str)) for key, value in node.get_rt_info().items()}
        if facts["layerType"] in ("Convolution", "FullyConnected"):
            yield facts["layerType"], facts["runtimePrecision"]
    session.close()


def count(network: Network, weights: Weights, precision: str) -> tuple[int, int]:
    """How many layers with a weight compute in integers, and how many there are."""
    layers = list(executed(network, weights, precision))
    return sum(arithmetic in ("u8", "i8") for _, arithmetic in layers), len(layers)


def record_of(network: Network, weights: Weights, inputs: dict[str, Any]) -> Record:
    record: Record = {}
    open_engine("numpy").compile(observed(network, record), weights)(**inputs)
    return record


@pytest.mark.parametrize("precision", open_engine("openvino").precisions)
@pytest.mark.parametrize("way", ["encoder", "decoder"])
def test_convolutions_run_in_integers(way: str, precision: str) -> None:
    with open_checkpoint(builtin_folder() / "artist").open("vae") as part:
        config = AutoencoderTinyConfig.read(part.config or {})
        if way == "encoder":
            network, inputs = autoencoder_tiny.encoder(config, 64, 64), {"picture": picture(0, 64)}
        else:
            network, inputs = autoencoder_tiny.decoder(config, 8, 8), {"latent": np.ones((1, 4, 8, 8), np.float32)}
        record = record_of(network, part.weights, inputs)
        scales = scales_of(record)
        assert count(quantized(network, scales), part.weights, precision) == (len(scales), len(record))
        assert count(network, part.weights, precision) == (0, len(record))


def test_linears_run_in_integers_too() -> None:
    with open_checkpoint(builtin_folder() / "artist").open("unet") as part:
        config = UNetConfig.read(part.config or {})
        network = unet.denoiser(config, 16, 16, 32)
        random = np.random.default_rng(0)
        inputs = {key: random.standard_normal(given.shape, np.float32) for key, given in network.inputs.items()}
        record = record_of(network, part.weights, inputs)
        scales = scales_of(record)
        assert count(quantized(network, scales), part.weights, "f32") == (len(scales), len(record))
