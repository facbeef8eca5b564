"""The text encoder and the UNet of the recipe, as Hugging Face's own classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.artist.settings import DenoiserSettings, TextSettings


def build_text_encoder(settings: TextSettings, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A fresh CLIP text encoder over the model's own vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.width,
            intermediate_size=4 * settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            max_position_embeddings=settings.max_length,
            projection_dim=settings.width,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet(settings: DenoiserSettings, text_width: int, latent_size: int) -> UNet2DConditionModel:
    """A fresh UNet; `attention[i]` says whether level i reads the text."""
    pairs = [
        ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D") if a else ("DownBlock2D", "UpBlock2D")
        for a in settings.attention
    ]
    return UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=4,
        out_channels=4,
        block_out_channels=tuple(settings.channels),
        down_block_types=tuple(down for down, _ in pairs),
        up_block_types=tuple(up for _, up in reversed(pairs)),
        layers_per_block=settings.layers_per_block,
        attention_head_dim=tuple(width // settings.head_size for width in settings.channels),
        cross_attention_dim=text_width,
        norm_num_groups=settings.norm_groups,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's betas, predicting v, sampled from the very last step ("trailing")."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
        rescale_betas_zero_snr=True,
    )


def save_model(
    folder: Path, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, tokenizer_folder: Path, vae_folder: Path
) -> None:
    """Write the standard Stable Diffusion layout, weights in fp16."""
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(vae_folder).half(),
        text_encoder=text_encoder.half(),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer_folder),
        unet=unet.half(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    # transformers 5 would write one `tokenizer.json`; the classic four files serve every loader.
    shutil.rmtree(folder / "tokenizer")
    shutil.copytree(tokenizer_folder, folder / "tokenizer")
    _restore_prefix(folder / "text_encoder" / "model.safetensors")
    _forget_origin(folder / "vae" / "config.json")
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)


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
