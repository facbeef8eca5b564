"""Tiny checkpoints, written once per run by the real libraries and never by the code under test."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Before any library reads them: nothing here may reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

Writer = Callable[..., Path]


@pytest.fixture
def raw(tmp_path: Path) -> Writer:
    """Write a file from a header (object, text or bytes) and data, with no check whatever."""

    def write(header: Any, data: bytes = b"", name: str = "x.safetensors", length: int | None = None) -> Path:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = tmp_path / name
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
        return path

    return write


@pytest.fixture
def names_only(raw: Writer) -> Writer:
    """Write a valid file of float32 zeros from names and shapes."""

    def write(shapes: dict[str, tuple[int, ...]], name: str = "x.safetensors", **metadata: str) -> Path:
        header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
        end = 0
        for key, shape in shapes.items():
            size = 4 * int(np.prod(shape, dtype=int))
            header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
            end += size
        return raw(header, bytes(end), name)

    return write


@pytest.fixture(scope="session")
def parts() -> dict[str, Any]:
    """The three networks of a tiny Stable Diffusion as diffusers and transformers build them."""
    torch = pytest.importorskip("torch")
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 16),
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=2,
        norm_num_groups=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=64,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            bos_token_id=0,
            eos_token_id=2,
        )
    )
    return {"unet": unet, "vae": vae, "text_encoder": text}


@pytest.fixture(scope="session")
def pipeline(parts: dict[str, Any]) -> Any:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    return StableDiffusionPipeline(
        **parts,
        tokenizer=None,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False, prediction_type="v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@pytest.fixture(scope="session")
def folder(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline as `save_pretrained` leaves it. Read only: copy it to change it."""
    path = tmp_path_factory.mktemp("diffusers")
    pipeline.save_pretrained(path)
    return path
