"""A program: how near an engine comes to NumPy in eight bits, in dB, with full and with safe weights.

python without_vnni.py openvino             with OpenVINO held to an older instruction set by its variables
python without_vnni.py onnx avx2            with an older processor shown to all of the process
"""

from __future__ import annotations

import sys

import numpy as np
from examples import random_weights, snr

from nutshell.engines import open_engine
from nutshell.networks import autoencoder_kl
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.quantization import FULL_WEIGHT, SAFE_WEIGHT, Record, observed, quantized, scales_of

CONFIG = AutoencoderKLConfig(channels=(32, 32), layers=1, groups=8)


def main(engine: str) -> None:
    weights = random_weights(autoencoder_kl.account, CONFIG)
    network = autoencoder_kl.decoder(CONFIG, 4, 4)
    latents = np.random.default_rng(0).standard_normal((8, 1, 4, 4, 4)).astype(np.float32)
    record: Record = {}
    session = open_engine("numpy").compile(observed(network, record), weights)
    for latent in latents:
        session(latent=latent)
    for largest in (FULL_WEIGHT, SAFE_WEIGHT):
        small = quantized(network, scales_of(record), largest)
        ours, theirs = (open_engine(name).compile(small, weights, "f32", threads=1) for name in (engine, "numpy"))
        print(max(snr(ours(latent=latent), theirs(latent=latent)) for latent in latents[:3]))


def shown_older(engine: str, name: str) -> int:
    """In a process that CPUID shows an older processor. ONNX Runtime is loaded there, and asks."""
    from bench.cpuid import run_hidden
    from bench.older_sets import SETS

    return run_hidden(lambda: main(engine), next(older.hidden for older in SETS if older.name == name))


if __name__ == "__main__":
    sys.exit(shown_older(*sys.argv[1:]) if len(sys.argv) > 2 else main(sys.argv[1]))
