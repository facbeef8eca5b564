"""Checkpoints of the exact shapes of known models, with random weights, in diffusers' folder layout.

Speed and memory depend on shapes, not on values, so nothing is downloaded. Names and shapes come from
Nutshell's own networks, run without data; that diffusers loads the result to the last tensor is tested
(tests/full_size). Weights are ~ N(0, 1 / fan in), norms 1, biases 0, so that activations stay finite.
Tensors are written one by one: memory stays below a hundred megabytes.
"""

from __future__ import annotations

import gzip
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import nutshell.tokens.bundled as bundled
from nutshell.engines.cost import CostOps
from nutshell.networks import autoencoder_kl, autoencoder_tiny, clip_text, unet
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import Weights
from nutshell.weights.scope import Ledger

Json = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]
F32 = npt.NDArray[np.float32]

WORK = Path(__file__).parent / "work"
_STORED: dict[str, tuple[str, np.dtype[Any]]] = {"f32": ("F32", np.dtype("<f4")), "f16": ("F16", np.dtype("<f2"))}
# Values drawn once and cut from anew for each tensor: drawing 10**9 of them would take half a minute.
_POOL = 1 << 24


@dataclass(frozen=True)
class Spec:
    """A model's sizes, as its configuration files state them."""

    name: str
    unet: Json
    text: Json
    vae: Json


_UNET: Json = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
}
_SD15_UNET: Json = {
    **_UNET,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 2,
}
# segmind/tiny-sd, pruned from SD 1.5 as BK-SDM-tiny is (Kim et al. 2023, arXiv:2305.15798).
_TINY_SD_UNET: Json = {
    **_UNET,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3,
    "up_block_types": ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 1,
    "mid_block_type": None,
}
_CLIP_L: Json = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "attention_dropout": 0.0,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
    "vocab_size": 49408,
}
_SD_VAE: Json = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "sample_size": 512,
    "scaling_factor": 0.18215,
}
TINY_VAE: Json = {
    "_class_name": "AutoencoderTiny",
    "act_fn": "relu",
    "in_channels": 3,
    "out_channels": 3,
    "encoder_block_out_channels": [64, 64, 64, 64],
    "decoder_block_out_channels": [64, 64, 64, 64],
    "num_encoder_blocks": [1, 3, 3, 3],
    "num_decoder_blocks": [3, 3, 3, 1],
    "latent_channels": 4,
    "latent_magnitude": 3,
    "latent_shift": 0.5,
    "scaling_factor": 1.0,
    "upsampling_scaling_factor": 2,
}
_SCHEDULER: Json = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}

SPECS: dict[str, Spec] = {
    "sd15": Spec("sd15", _SD15_UNET, _CLIP_L, _SD_VAE),
    "tiny-sd": Spec("tiny-sd", _TINY_SD_UNET, _CLIP_L, _SD_VAE),
    # Of no known model: what `--quick` and the tests run.
    "miniature": Spec(
        "miniature",
        {**_TINY_SD_UNET, "block_out_channels": [32, 64, 64], "cross_attention_dim": 64, "sample_size": 8},
        {
            **_CLIP_L,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_attention_heads": 1,
            "num_hidden_layers": 2,
            "projection_dim": 64,
        },
        {**_SD_VAE, "block_out_channels": [32, 32, 32, 32]},
    ),
}


def build(spec: Spec, folder: Path, stored: str = "f16", vae: str = "kl", seed: int = 0) -> Path:
    """Write `spec` to `folder` unless it is there already. stored: "f16" or "f32"; vae: "kl" or "tiny"."""
    if (folder / "model_index.json").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    autoencoder = TINY_VAE if vae == "tiny" else spec.vae
    write_part(folder / "unet", spec.unet, unet_shapes(UNetConfig.read(spec.unet)), stored, seed)
    text = {f"text_model.{name}": shape for name, shape in text_shapes(ClipTextConfig.read(spec.text)).items()}
    write_part(folder / "text_encoder", spec.text, text, stored, seed + 1, "model.safetensors")
    write_part(folder / "vae", autoencoder, vae_shapes(autoencoder), stored, seed + 2)
    write_tokenizer(folder / "tokenizer")
    _write_json(folder / "scheduler" / "scheduler_config.json", _SCHEDULER)
    # Last, so that a folder that was left half written is not taken for a model.
    _write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", _SCHEDULER["_class_name"]],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", autoencoder["_class_name"]],
        },
    )
    return folder


def unet_shapes(config: UNetConfig) -> Shapes:
    """Every tensor of a denoiser."""
    return _shapes("unet", lambda view: unet.account(config, view, CostOps()))


def text_shapes(config: ClipTextConfig) -> Shapes:
    """Every tensor of a text encoder."""
    return _shapes("text_encoder", lambda view: clip_text.account(config, view, CostOps()))


def vae_shapes(config: Json) -> Shapes:
    """Every tensor of an autoencoder, full or tiny."""
    if config["_class_name"] == "AutoencoderTiny":
        tiny = AutoencoderTinyConfig.read(config)
        return _shapes("vae", lambda view: autoencoder_tiny.account(tiny, view, CostOps()))
    full = AutoencoderKLConfig.read(config)
    return _shapes("vae", lambda view: autoencoder_kl.account(full, view, CostOps()))


def write_part(
    folder: Path,
    config: Json,
    shapes: Mapping[str, tuple[int, ...]],
    stored: str,
    seed: int,
    name: str = "diffusion_pytorch_model.safetensors",
) -> None:
    """One component: its configuration and its weights."""
    _write_json(folder / "config.json", config)
    write_random(folder / name, shapes, stored, seed)


def write_random(path: Path, shapes: Mapping[str, tuple[int, ...]], stored: str, seed: int) -> None:
    """A safetensors file of random weights, written tensor by tensor."""
    dtype, kind = _STORED[stored]
    entries: Json = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * kind.itemsize
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    pool = np.random.default_rng(seed).standard_normal(_POOL, np.float32)
    offsets = np.random.default_rng(seed + 1)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for name, shape in shapes.items():
            for values in _values(name, shape, pool, int(offsets.integers(_POOL))):
                file.write(values.astype(kind).data)


def write_tokenizer(folder: Path) -> None:
    """CLIP's vocabulary as transformers reads it, from the merges that come with Nutshell."""
    data = Path(bundled.__file__).parent / "data" / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(data.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
    words = letters + [letter + "</w>" for letter in letters] + [pair.replace(" ", "") for pair in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    _write_json(folder / "vocab.json", {word: place for place, word in enumerate(words)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    settings = {
        "model_max_length": 77,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "CLIPTokenizer",
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _shapes(part: str, run: Any) -> Shapes:
    """What a network asks of a checkpoint that holds nothing."""
    found: Shapes = {}

    class Recorder(Weights):
        def account(self, network: Any) -> None:
            ledger = Ledger(lenient=True)
            network(Weights({}, part, "", ledger))
            found.update(ledger.missing)

    run(Recorder({}, part))
    return found


def _values(name: str, shape: tuple[int, ...], pool: F32, offset: int) -> Iterator[F32]:
    """The tensor's values in pieces of at most the pool's size."""
    size = math.prod(shape)
    if name.endswith("bias"):
        yield np.zeros(size, np.float32)
        return
    if len(shape) == 1:
        yield np.ones(size, np.float32)
        return
    # Tables are looked up, not summed over: 0.02 is what CLIP was initialized with.
    scale = np.float32(0.02 if "embedding.weight" in name else 1 / math.sqrt(math.prod(shape[1:])))
    while size:
        piece = pool[offset : offset + size]
        yield piece * scale
        size -= piece.size
        offset = 0


def _write_json(path: Path, content: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
