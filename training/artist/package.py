"""A model on disk in the standard Stable Diffusion layout: what training writes, and what it reads again."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer

from training.artist.networks import build_scheduler
from training.autoencoder.network import WEIGHTS


@dataclass(frozen=True)
class Artist:
    """The trained parts of a model, in float32; `tokenizer` is its folder."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: Path


def load_artist(folder: Path) -> Artist:
    """The model that `save_artist` wrote, in float32 on the CPU."""
    return Artist(
        UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
        folder / "tokenizer",
    )


def save_artist(artist: Artist, folder: Path, autoencoder: Path = WEIGHTS) -> None:
    """Write the layout, weights in fp16; a model that was there before is replaced when the new one is whole."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderTiny.from_pretrained(autoencoder).half(),
        text_encoder=copy.deepcopy(artist.text_encoder).half(),
        tokenizer=CLIPTokenizer.from_pretrained(artist.tokenizer),
        unet=copy.deepcopy(artist.unet).half(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(new, safe_serialization=True)
    # transformers 5 would write one `tokenizer.json`; the classic four files serve every loader.
    shutil.rmtree(new / "tokenizer")
    shutil.copytree(artist.tokenizer, new / "tokenizer")
    shutil.rmtree(new / "vae")
    shutil.copytree(autoencoder, new / "vae")
    (new / "vae" / "README.md").unlink(missing_ok=True)
    _restore_prefix(new / "text_encoder" / "model.safetensors")
    for part in ("unet", "text_encoder"):
        _forget_origin(new / part / "config.json")
    for path in new.rglob("*.safetensors"):
        path.chmod(0o644)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def _restore_prefix(path: Path) -> None:
    """Name the text encoder's tensors `text_model.…`, as every Stable Diffusion checkpoint does.

    transformers 5 leaves the prefix out when it saves, and reads both.
    """
    tensors = load_file(path)
    named = {name if name.startswith("text_model.") else f"text_model.{name}": part for name, part in tensors.items()}
    save_file(named, path, metadata={"format": "pt"})


def _forget_origin(path: Path) -> None:
    """Drop the folder of this machine that diffusers notes in a config."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts.pop("_name_or_path", None)
    path.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
