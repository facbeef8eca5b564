"""A whole random-weight model of diffusers, saved as a folder and as a single file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.models import write_tokenizer
from nutshell.weights import Tensor, open_checkpoint, to_ldm

WIDTH = 64


def build_pipeline(folder: Path, tiny_vae: bool = False, **unet: Any) -> Any:
    """Make and save a small StableDiffusionPipeline with random weights."""
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    import transformers

    torch.manual_seed(0)
    write_tokenizer(folder / "tokenizer")
    sizes = {"block_out_channels": (32, 64, 64), "layers_per_block": 1, "sample_size": 8, "cross_attention_dim": WIDTH}
    blocks = {
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    }
    text = transformers.CLIPTextConfig(
        vocab_size=49408,
        hidden_size=WIDTH,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=1,
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )
    if tiny_vae:
        channels = (16, 16, 16, 16)
        vae = diffusers.AutoencoderTiny(encoder_block_out_channels=channels, decoder_block_out_channels=channels)
    else:
        vae = diffusers.AutoencoderKL(
            block_out_channels=(32, 32, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
    pipe = diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=transformers.CLIPTextModel(text).eval(),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        unet=diffusers.UNet2DConditionModel(**{**blocks, **sizes, **unet}),
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            clip_sample=False,
            set_alpha_to_one=False,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    _enliven(pipe)
    pipe.save_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _enliven(pipe: Any) -> None:
    """Scale the decoder's output so that random weights paint contrast, or every comparison would pass."""
    import torch

    with torch.no_grad():
        decoder = pipe.vae.decoder
        last = decoder.conv_out if hasattr(decoder, "conv_out") else decoder.layers[-1]
        last.weight.mul_(3.0)


def write_single_file(folder: Path, path: Path) -> Path:
    """The folder's weights as one file in the original layout."""
    from safetensors.numpy import save_file

    checkpoint = open_checkpoint(folder)
    arrays: dict[str, np.ndarray] = {}
    for name in checkpoint.parts:
        with checkpoint.open(name) as part:
            named: dict[str, Tensor] = {tensor.name: tensor for tensor in part.weights.tensors()}
            prefix = "text_model."
            named = {key.removeprefix(prefix): value for key, value in named.items()}
            arrays.update({key: value.f32().copy() for key, value in to_ldm(name, named).items()})
    save_file(arrays, path)
    return path


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """(diffusers' pipeline, its folder)."""
    folder = tmp_path_factory.mktemp("models") / "small"
    return build_pipeline(folder), folder


@pytest.fixture(scope="session")
def model_folder(reference: tuple[Any, Path]) -> Path:
    return reference[1]


def psnr(ours: Any, theirs: Any) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures in dB."""
    error = np.mean((np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
