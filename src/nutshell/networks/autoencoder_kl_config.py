"""What an AutoencoderKL's config.json says, as far as its network is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nutshell.errors import UnsupportedModel
from nutshell.language import tr
from nutshell.weights import Weights


@dataclass(frozen=True)
class AutoencoderKLConfig:
    """Sizes, finest level first. `scaling_factor` and `shift_factor` standardize the latents:
    the denoiser sees (latent - shift) * scaling."""

    channels: tuple[int, ...]
    layers: int = 2
    latent_channels: int = 4
    groups: int = 32
    mid_attention: bool = True
    quant_conv: bool = True
    post_quant_conv: bool = True
    scaling_factor: float = 0.18215
    shift_factor: float = 0.0

    @property
    def scale(self) -> int:
        """Pixels per latent cell along each side."""
        return int(2 ** (len(self.channels) - 1))

    @staticmethod
    def read(config: Mapping[str, Any]) -> AutoencoderKLConfig:
        """From diffusers' config.json."""
        for key, kind in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
            for name in config.get(key, ()):
                if name != kind:
                    raise UnsupportedModel(
                        tr("this autoencoder is built of {name!r}, which this version does not run", name=name)
                    )
        return AutoencoderKLConfig(
            channels=tuple(config.get("block_out_channels", (64,))),
            layers=config.get("layers_per_block", 1),
            latent_channels=config.get("latent_channels", 4),
            groups=config.get("norm_num_groups", 32),
            mid_attention=config.get("mid_block_add_attention", True),
            quant_conv=config.get("use_quant_conv", True),
            post_quant_conv=config.get("use_post_quant_conv", True),
            scaling_factor=config.get("scaling_factor") or 0.18215,
            shift_factor=config.get("shift_factor") or 0.0,
        )

    @staticmethod
    def infer(weights: Weights) -> AutoencoderKLConfig:
        """From shapes alone; the scaling factor is that of the SD 1.x and 2.x autoencoders."""
        encoder = weights.at("encoder", "down_blocks")
        levels = weights.count("encoder.down_blocks")
        widths = [encoder.shape(f"{level}.resnets.0.conv1.weight") for level in range(levels)]
        latent = weights.shape("decoder.conv_in.weight")
        return AutoencoderKLConfig(
            channels=tuple(shape[0] if shape else 0 for shape in widths),
            layers=weights.count("encoder.down_blocks.0.resnets"),
            latent_channels=latent[1] if latent else 4,
            mid_attention=weights.has("decoder.mid_block.attentions"),
            quant_conv=weights.has("quant_conv"),
            post_quant_conv=weights.has("post_quant_conv"),
        )
