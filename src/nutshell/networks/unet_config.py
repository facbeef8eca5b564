"""The sizes of a UNet2DCondition, from its config.json or from the shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nutshell.errors import UnsupportedModel
from nutshell.language import tr
from nutshell.weights import Weights

# Keys of config.json that diffusers does not know: what `nutshell compress prune` narrows beyond its shapes.
KEPT_HEADS = "nutshell_kept_heads"
MIDDLE_WIDTH = "nutshell_middle_width"

_DOWN = {"CrossAttnDownBlock2D": True, "DownBlock2D": False}
_UP = {"CrossAttnUpBlock2D": True, "UpBlock2D": False}
_MID = {"UNetMidBlock2DCrossAttn": "attention", "UNetMidBlock2D": "plain", None: "none"}

# Options of diffusers' class that this network does not have, with the value that means "off".
_ABSENT: dict[str, Any] = {
    "addition_embed_type": None,
    "attention_type": "default",
    "center_input_sample": False,
    "class_embed_type": None,
    "class_embeddings_concat": False,
    "cross_attention_norm": None,
    "dual_cross_attention": False,
    "encoder_hid_dim_type": None,
    "mid_block_only_cross_attention": None,
    "num_attention_heads": None,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "reverse_transformer_layers_per_block": None,
    "time_embedding_act_fn": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
}


@dataclass(frozen=True)
class UNetConfig:
    """Per-level tuples run from the finest level (0) to the coarsest."""

    channels: tuple[int, ...]
    down_attention: tuple[bool, ...]
    up_attention: tuple[bool, ...]  # In running order: from the coarsest level to the finest.
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    transformer_layers: tuple[int, ...]
    mid: str  # "attention", "plain" or "none".
    condition_width: int
    in_channels: int = 4
    out_channels: int = 4
    groups: int = 32
    eps: float = 1e-5
    linear_projection: bool = False
    flip_sin_to_cos: bool = True
    freq_shift: float = 0.0
    time_width: int = 0
    guidance_width: int = 0  # Width of the guidance embedding of guidance-distilled models (LCM); 0: none.
    mid_scale: float = 1.0
    sample_size: int = 64
    kept_heads: tuple[int, ...] = ()  # Heads of each attention of a level, where pruning left fewer than `heads`.
    middle_width: int = 0  # Between the convolutions of the middle, where pruning narrowed it; 0: as the last level.

    @property
    def levels(self) -> int:
        return len(self.channels)

    @property
    def finest_attention(self) -> int | None:
        """The finest level that has attention, on the way down or up; None where none has."""
        attended = (down or up for down, up in zip(self.down_attention, reversed(self.up_attention), strict=True))
        return next((level for level, has in enumerate(attended) if has), None)

    @staticmethod
    def read(config: Mapping[str, Any]) -> UNetConfig:
        """From diffusers' config.json. Raises UnsupportedModel naming the feature that is not there."""
        for key, off in _ABSENT.items():
            value = config.get(key, off)
            if value != off and not (off is False and isinstance(value, list) and not any(value)):
                raise UnsupportedModel(
                    tr("this UNet uses {key}={value!r}, which this version does not run", key=key, value=value),
                    tr("Stable Diffusion 1.x and 2.x and their descendants run"),
                )
        channels = tuple(config.get("block_out_channels", (320, 640, 1280, 1280)))
        levels = len(channels)
        down = config.get("down_block_types", ["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"])
        up = config.get("up_block_types", ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1))
        mid = config.get("mid_block_type", "UNetMidBlock2DCrossAttn")
        widths = set(_per_level(config.get("cross_attention_dim", 1280), levels, "cross_attention_dim"))
        if len(widths) != 1:
            raise UnsupportedModel(
                tr("this UNet has cross-attention of several widths, which this version does not run")
            )
        return UNetConfig(
            channels=channels,
            down_attention=tuple(_known(name, _DOWN) for name in down),
            up_attention=tuple(_known(name, _UP) for name in up),
            layers=_per_level(config.get("layers_per_block", 2), levels, "layers_per_block"),
            # diffusers' "attention_head_dim" holds the number of heads, a misnomer kept for old files.
            heads=_per_level(config.get("attention_head_dim", 8), levels, "attention_head_dim"),
            transformer_layers=_per_level(
                config.get("transformer_layers_per_block", 1), levels, "transformer_layers_per_block"
            ),
            mid=_known(mid, _MID),
            condition_width=widths.pop(),
            in_channels=config.get("in_channels", 4),
            out_channels=config.get("out_channels", 4),
            groups=config.get("norm_num_groups", 32),
            eps=config.get("norm_eps", 1e-5),
            linear_projection=config.get("use_linear_projection", False),
            flip_sin_to_cos=config.get("flip_sin_to_cos", True),
            freq_shift=config.get("freq_shift", 0),
            time_width=config.get("time_embedding_dim") or 4 * channels[0],
            guidance_width=config.get("time_cond_proj_dim") or 0,
            mid_scale=config.get("mid_block_scale_factor", 1) or 1,
            sample_size=_square(config.get("sample_size")),
            kept_heads=_per_level(config[KEPT_HEADS], levels, KEPT_HEADS) if config.get(KEPT_HEADS) else (),
            middle_width=config.get(MIDDLE_WIDTH, 0),
        )

    @staticmethod
    def infer(weights: Weights) -> UNetConfig:
        """From shapes alone (single files), with the family's conventions for what they do not tell.

        Stable Diffusion 1.x has 8 heads at every level; 2.x, known by its linear projections, has
        heads of width 64. Both normalize in 32 groups.
        """
        channels, layers, down, depth = [], [], [], []
        for level in range(weights.count("down_blocks")):
            block = weights.at("down_blocks", level)
            shape = block.shape("resnets.0.conv1.weight")
            channels.append(shape[0] if shape else 320)
            layers.append(block.count("resnets"))
            down.append(block.has("attentions"))
            depth.append(block.count("attentions.0.transformer_blocks") or 1)
        up = [weights.at("up_blocks", level).has("attentions") for level in range(weights.count("up_blocks"))]
        mid = weights.at("mid_block")
        attended = next((level for level, has in enumerate(down) if has), None)
        first = weights.at("down_blocks", attended or 0, "attentions", 0)
        linear = len(first.shape("proj_in.weight") or ()) == 2
        condition = first.shape("transformer_blocks.0.attn2.to_k.weight") or (0, 768)
        conv_in, conv_out = weights.shape("conv_in.weight"), weights.shape("conv_out.weight")
        guidance = weights.shape("time_embedding.cond_proj.weight")
        return UNetConfig(
            channels=tuple(channels),
            down_attention=tuple(down),
            up_attention=tuple(up),
            layers=tuple(layers),
            heads=tuple(width // 64 if linear else 8 for width in channels),
            transformer_layers=tuple(depth),
            mid="none" if not mid.has("resnets") else "attention" if mid.has("attentions") else "plain",
            condition_width=condition[1],
            in_channels=conv_in[1] if conv_in else 4,
            out_channels=conv_out[0] if conv_out else 4,
            linear_projection=linear,
            time_width=(weights.shape("time_embedding.linear_1.weight") or (1280,))[0],
            guidance_width=guidance[1] if guidance else 0,
        )


def _per_level(value: int | Sequence[int], levels: int, name: str) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * levels
    if len(value) != levels or not all(isinstance(item, int) for item in value):
        raise UnsupportedModel(
            tr("this UNet's {name} {value!r} does not fit its {levels} levels", name=name, value=value, levels=levels)
        )
    return tuple(value)


def _known(name: Any, kinds: Mapping[Any, Any]) -> Any:
    if name not in kinds:
        raise UnsupportedModel(tr("this UNet is built of {name!r}, which this version does not run", name=name))
    return kinds[name]


def _square(size: Any) -> int:
    if isinstance(size, (list, tuple)):
        size = max(size)
    return size or 64
