"""The random models: layout, shapes and that nothing becomes infinite."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.models import SPECS, Shapes, build, text_shapes, unet_shapes, vae_shapes
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.unet_config import UNetConfig
from nutshell.pipeline.facts import read_text, read_unet, read_vae
from nutshell.weights import open_checkpoint

READERS: dict[str, Callable[..., Any]] = {"text_encoder": read_text, "unet": read_unet, "vae": read_vae}


def parameters(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


@pytest.mark.parametrize(("name", "count"), [("sd15", 859_520_964), ("tiny-sd", 323_384_964)])
def test_denoiser_has_the_real_number_of_parameters(name: str, count: int) -> None:
    assert parameters(unet_shapes(UNetConfig.read(SPECS[name].unet))) == count


def test_text_encoder_and_autoencoder_have_the_real_number_of_parameters() -> None:
    assert parameters(text_shapes(ClipTextConfig.read(SPECS["sd15"].text))) == 123_060_480
    assert parameters(vae_shapes(SPECS["sd15"].vae)) == 83_653_863


@pytest.mark.parametrize("stored", ["f16", "f32"])
@pytest.mark.parametrize("vae", ["kl", "tiny"])
def test_folder_is_a_model_accounted_for(tmp_path: Path, stored: str, vae: str) -> None:
    checkpoint = open_checkpoint(build(SPECS["miniature"], tmp_path / "model", stored, vae))
    assert checkpoint.parts == ("text_encoder", "unet", "vae")
    for part, read in READERS.items():
        with checkpoint.open(part) as opened:
            read(opened)
            assert {tensor.dtype for tensor in opened.weights.tensors()} == {stored.upper()}
            assert all(np.isfinite(tensor.f32()).all() for tensor in opened.weights.tensors())


def test_model_is_built_once(tmp_path: Path) -> None:
    folder = build(SPECS["miniature"], tmp_path / "model")
    index = folder / "model_index.json"
    index.write_text(json.dumps({"mine": True}))
    build(SPECS["miniature"], folder)
    assert json.loads(index.read_text()) == {"mine": True}


def test_half_written_model_is_built_anew(tmp_path: Path) -> None:
    folder = build(SPECS["miniature"], tmp_path / "model")
    (folder / "model_index.json").unlink()
    (folder / "unet" / "config.json").unlink()
    build(SPECS["miniature"], folder)
    assert (folder / "unet" / "config.json").exists()
