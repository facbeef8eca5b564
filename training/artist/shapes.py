"""The shape of a UNet, and whether one shape can be cut out of another."""

from __future__ import annotations

from diffusers import UNet2DConditionModel

from nutshell.compress import shapes
from nutshell.compress.shapes import MIDDLES
from nutshell.errors import UsageError
from training.artist.settings import UNetSettings


def shape_of(unet: UNet2DConditionModel, head_size: int | tuple[int, ...]) -> UNetSettings:
    """The shape of a UNet that `build_unet` made; `head_size` is for UNets that attend nowhere."""
    config = unet.config
    attention = tuple(kind.startswith("CrossAttn") for kind in config.down_block_types)
    middle = next(name for name, kind in MIDDLES.items() if kind == config.mid_block_type)
    widths, heads = tuple(config.block_out_channels), config.attention_head_dim
    attends = [*attention[:-1], attention[-1] or middle == "attention"]
    sizes = {width // count for width, count, is_so in zip(widths, heads, attends, strict=True) if is_so}
    if len(sizes) > 1:
        raise ValueError(f"the teacher's heads have several sizes ({sorted(sizes)}), which cannot be pruned")
    size = sizes.pop() if sizes else head_size
    return UNetSettings(widths, attention, config.layers_per_block, size, config.norm_num_groups, middle)


def check(teacher: UNetSettings, student: UNetSettings) -> None:
    """Raise a `ValueError` that says what to change where `student` cannot be cut out of `teacher`."""
    try:
        shapes.check(teacher, student)
    except UsageError as error:
        raise ValueError(str(error)) from error
