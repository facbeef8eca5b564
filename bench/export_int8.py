"""Write a model as openvino-genai wants it, in eight bits by NNCF: `python -m bench.export_int8 FOLDER SIDE`.

Denoiser and decoder by `nncf.quantize`, the text encoder by `nncf.compress_weights`; the rest as `bench/export.py` has
it. Any size may be drawn with it: SIDE is that of the examples.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

from bench.export import export
from bench.peers import SEED, export_folder
from bench.peers.nncf import quantize_unet


def export_int8(folder: Path, side: int) -> Path:
    """Write it unless it is there already, and the plain one too."""
    target = export_folder(folder, "int8")
    if (target / "model_index.json").exists():
        return target
    plain = export(folder, side)
    shutil.rmtree(target, ignore_errors=True)
    # The index comes last, so that what was left half written is not taken for a model.
    shutil.copytree(plain, target, ignore=shutil.ignore_patterns("openvino_model.*", "model_index.json"))
    core, random = openvino.Core(), np.random.default_rng(SEED)
    unet = core.read_model(plain / "unet" / "openvino_model.xml")
    width = unet.input("encoder_hidden_states").partial_shape[2].get_length()
    latent = random.standard_normal((1, 4, side // 8, side // 8), np.float32)
    unet = quantize_unet(unet, [latent, np.array([500], np.int64), random.standard_normal((1, 77, width), np.float32)])
    _save(unet, target / "unet")
    decoder = core.read_model(plain / "vae_decoder" / "openvino_model.xml")
    # The tiny one begins and ends with sums of single numbers, which NNCF takes for biases and cannot correct.
    plainly = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
    decoder = nncf.quantize(decoder, nncf.Dataset([latent]), subset_size=1, advanced_parameters=plainly)
    _save(decoder, target / "vae_decoder")
    text = core.read_model(plain / "text_encoder" / "openvino_model.xml")
    _save(nncf.compress_weights(text), target / "text_encoder")
    shutil.copy(plain / "model_index.json", target / "model_index.json")
    return target


def _save(model: Any, folder: Path) -> None:
    openvino.save_model(model, str(folder / "openvino_model.xml"))


if __name__ == "__main__":
    export_int8(Path(sys.argv[1]), int(sys.argv[2]))
