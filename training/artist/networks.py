"""The text encoder, the UNets and the noise of the recipe, as Hugging Face's own classes."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from nutshell.compress.shapes import MIDDLES
from training.artist.settings import TextSettings, UNetSettings


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


def build_unet(settings: UNetSettings, text_width: int, latent_size: int = 32) -> UNet2DConditionModel:
    """A fresh UNet for latents (4, `latent_size`, `latent_size`)."""
    pairs = [
        ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D") if attends else ("DownBlock2D", "UpBlock2D")
        for attends in settings.attention
    ]
    return UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=4,
        out_channels=4,
        block_out_channels=settings.channels,
        down_block_types=tuple(down for down, _ in pairs),
        mid_block_type=MIDDLES[settings.middle],
        up_block_types=tuple(up for _, up in reversed(pairs)),
        layers_per_block=settings.layers_per_block,
        # diffusers' name is wrong: this is the number of heads.
        attention_head_dim=tuple(settings.heads(level) for level in range(len(settings.channels))),
        cross_attention_dim=text_width,
        norm_num_groups=settings.norm_groups,
    )


def for_training(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """The layout and the attention that train fastest on the device where the UNet is.

    On a CPU the backward pass of PyTorch's fused attention takes longer than plain matrices do.
    """
    if unet.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())
    return unet.to(memory_format=torch.channels_last)


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


def tokenize(tokenizer: CLIPTokenizer, words: list[str]) -> Tensor:
    """Token ids padded to the model's length: (texts, max_length)."""
    ids: Tensor = tokenizer(words, padding="max_length", truncation=True, return_tensors="pt").input_ids
    return ids
