"""The JSON files of a diffusers folder for a model that came as a single file, told from its sizes."""

from __future__ import annotations

from typing import Any

from nutshell.compress.shapes import UNetShape, config_of
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.unet_config import UNetConfig
from nutshell.sampling import Diffusion
from nutshell.weights import Checkpoint

Json = dict[str, Any]


def unet_json(config: UNetConfig) -> Json:
    """unet/config.json."""
    sizes = tuple(width // heads for width, heads in zip(config.channels, config.heads, strict=True))
    shape = UNetShape(config.channels, config.down_attention, config.layers[0], sizes, config.groups, config.mid)
    return config_of(
        shape,
        {
            "_class_name": "UNet2DConditionModel",
            "act_fn": "silu",
            "center_input_sample": False,
            "cross_attention_dim": config.condition_width,
            "flip_sin_to_cos": config.flip_sin_to_cos,
            "freq_shift": config.freq_shift,
            "in_channels": config.in_channels,
            "mid_block_scale_factor": config.mid_scale,
            "norm_eps": config.eps,
            "out_channels": config.out_channels,
            "sample_size": config.sample_size,
            "time_cond_proj_dim": config.guidance_width or None,
            "use_linear_projection": config.linear_projection,
        },
    )


def text_json(config: ClipTextConfig) -> Json:
    """text_encoder/config.json. Layers that the model never runs are not counted, and not written."""
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "bos_token_id": config.vocabulary - 2,
        "eos_token_id": config.vocabulary - 1,
        "pad_token_id": config.vocabulary - 1,
        "hidden_act": config.activation,
        "hidden_size": config.width,
        "intermediate_size": config.inner_width,
        "layer_norm_eps": config.eps,
        "max_position_embeddings": config.positions,
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers - config.unused_layers,
        "projection_dim": config.width,
        "vocab_size": config.vocabulary,
    }


def vae_json(config: AutoencoderKLConfig | AutoencoderTinyConfig) -> Json:
    """vae/config.json."""
    if isinstance(config, AutoencoderTinyConfig):
        return {
            "_class_name": "AutoencoderTiny",
            "encoder_block_out_channels": list(config.encoder_channels),
            "decoder_block_out_channels": list(config.decoder_channels),
            "num_encoder_blocks": list(config.encoder_blocks),
            "num_decoder_blocks": list(config.decoder_blocks),
            "latent_channels": config.latent_channels,
            "scaling_factor": config.scaling_factor,
        }
    levels = len(config.channels)
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": list(config.channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": config.latent_channels,
        "layers_per_block": config.layers,
        "mid_block_add_attention": config.mid_attention,
        "norm_num_groups": config.groups,
        "scaling_factor": config.scaling_factor,
        "use_quant_conv": config.quant_conv,
        "use_post_quant_conv": config.post_quant_conv,
    }


def scheduler_json(checkpoint: Checkpoint, prediction: str | None) -> Json:
    """scheduler/scheduler_config.json: Stable Diffusion's noise levels, and what the file says that it predicts."""
    hint, usual = checkpoint.prediction_hint(), Diffusion()
    return {
        "_class_name": "DDIMScheduler",
        "beta_start": usual.beta_start,
        "beta_end": usual.beta_end,
        "beta_schedule": usual.beta_schedule,
        "clip_sample": False,
        "num_train_timesteps": usual.train_steps,
        "prediction_type": prediction or hint.prediction or usual.prediction,
        "rescale_betas_zero_snr": bool(hint.zero_terminal_snr),
        "set_alpha_to_one": usual.set_alpha_to_one,
        "steps_offset": usual.steps_offset,
    }
