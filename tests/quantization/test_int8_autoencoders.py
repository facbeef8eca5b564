"""The built-in autoencoder in eight bits: the same on every engine, and close enough to float32 to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from examples import F32, assert_same_eight_bits, picture, psnr, small, snr

from nutshell.engines import open_engine
from nutshell.networks import autoencoder_kl, autoencoder_tiny
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.ops import Network
from nutshell.pipeline.facts import AutoencoderConfig, read_vae
from nutshell.quantization import Record, Scales, observed, scales_of
from nutshell.store import builtin_folder
from nutshell.weights import Weights, open_part

FOLDER = builtin_folder() / "artist" / "vae"

CALIBRATED_ON = range(16)
CALIBRATED_AT = 64  # pixels; the scales serve every size
SHOWN = (100, 101)
LEAST_DB = 35
LEAST_LATENT_DB = 25


@dataclass(frozen=True)
class Autoencoder:
    config: AutoencoderConfig
    weights: Weights
    encoder_scales: Scales
    decoder_scales: Scales

    def encoder(self, side: int) -> Network:
        """For pictures of side x side pixels."""
        return coder(self.config, "encoder", side)

    def decoder(self, side: int) -> Network:
        return coder(self.config, "decoder", side // self.config.scale)


def coder(config: AutoencoderConfig, way: str, side: int) -> Network:
    module: Any = autoencoder_tiny if isinstance(config, AutoencoderTinyConfig) else autoencoder_kl
    network: Network = getattr(module, way)(config, side, side)
    return network


def run(network: Network, weights: Weights, examples: list[F32], engine: str = "openvino") -> list[F32]:
    """The results of a network of one input, in float32."""
    (name,) = network.inputs
    session = open_engine(engine).compile(network, weights, "f32", threads=1)
    results = [session(**{name: example}) for example in examples]
    session.close()
    return results


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    """Calibrated on small pictures and their latents."""
    part = open_part(FOLDER)
    config, seen, made = read_vae(part), Record(), Record()
    encoder = observed(coder(config, "encoder", CALIBRATED_AT), seen)
    decoder = observed(coder(config, "decoder", CALIBRATED_AT // config.scale), made)
    moments = run(encoder, part.weights, [picture(n, CALIBRATED_AT) for n in CALIBRATED_ON], "numpy")
    run(decoder, part.weights, [given[:, : config.latent_channels] for given in moments], "numpy")
    return Autoencoder(config, part.weights, scales_of(seen), scales_of(made))


def latents_of(autoencoder: Autoencoder, side: int, places: Sequence[int] = SHOWN) -> list[F32]:
    moments = run(autoencoder.encoder(side), autoencoder.weights, [picture(n, side) for n in places])
    return [given[:, : autoencoder.config.latent_channels] for given in moments]


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
@pytest.mark.parametrize("way", ["decoder", "encoder"])
def test_engines_compute_the_same_eight_bits(autoencoder: Autoencoder, way: str, engine: str) -> None:
    side, places = 32, (100, 101, 102)
    if way == "decoder":
        network, scales = autoencoder.decoder(side), autoencoder.decoder_scales
        examples = [{"latent": latent} for latent in latents_of(autoencoder, side, places)]
    else:
        network, scales = autoencoder.encoder(side), autoencoder.encoder_scales
        examples = [{"picture": picture(place, side)} for place in places]
    # See test_int8: ONNX Runtime rounds biases where a ReLU stands between two convolutions.
    joined = engine == "onnx" and isinstance(autoencoder.config, AutoencoderTinyConfig)
    assert_same_eight_bits(network, autoencoder.weights, scales, engine, examples, least=40 if joined else 80)


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_pictures_decode_as_in_float32(autoencoder: Autoencoder, engine: str) -> None:
    network, latents = autoencoder.decoder(256), latents_of(autoencoder, 256)
    wanted = run(network, autoencoder.weights, latents)
    got = run(small(network, autoencoder.decoder_scales), autoencoder.weights, latents, engine)
    each = [psnr(ours, theirs) for ours, theirs in zip(got, wanted, strict=True)]
    assert min(each) >= LEAST_DB, each


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_pictures_encode_as_in_float32(autoencoder: Autoencoder, engine: str) -> None:
    network, pictures = autoencoder.encoder(256), [picture(n, 256) for n in SHOWN]
    channels = autoencoder.config.latent_channels
    wanted = run(network, autoencoder.weights, pictures)
    got = run(small(network, autoencoder.encoder_scales), autoencoder.weights, pictures, engine)
    each = [snr(ours[:, :channels], theirs[:, :channels]) for ours, theirs in zip(got, wanted, strict=True)]
    assert min(each) >= LEAST_LATENT_DB, each
    decoded = [
        run(autoencoder.decoder(256), autoencoder.weights, [given[:, :channels] for given in way])
        for way in (got, wanted)
    ]
    assert min(psnr(ours, theirs) for ours, theirs in zip(*decoded, strict=True)) >= LEAST_DB


@pytest.mark.parametrize("precision", open_engine("openvino").precisions)
def test_half_precision_around_the_eight_bits_costs_little(autoencoder: Autoencoder, precision: str) -> None:
    (latent, *_), network = latents_of(autoencoder, 64), autoencoder.decoder(64)
    (wanted,) = run(network, autoencoder.weights, [latent])
    session = open_engine("openvino").compile(
        small(network, autoencoder.decoder_scales), autoencoder.weights, precision, threads=1
    )
    assert psnr(session(latent=latent), np.asarray(wanted)) >= LEAST_DB
    session.close()
