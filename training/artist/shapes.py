"""The shape of a UNet, and whether one shape can be cut out of another."""

from __future__ import annotations

from diffusers import UNet2DConditionModel

from training.artist.networks import MIDDLES
from training.artist.settings import UNetSettings


def shape_of(unet: UNet2DConditionModel, head_size: int) -> UNetSettings:
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
    order = ("none", "plain", "attention")
    groups, levels = student.norm_groups, len(student.channels)
    faults = {
        f"`channels` and `attention` must have equally many levels, at most {len(teacher.channels)}":
            levels != len(student.attention) or levels > len(teacher.channels),
        'with fewer levels than the teacher, `middle` must be "none"':
            levels < len(teacher.channels) and student.middle != "none",
        f'`middle` must be one of {order[: order.index(teacher.middle) + 1]}':
            student.middle not in order[: order.index(teacher.middle) + 1],
        f"`layers_per_block` must be 1 to {teacher.layers_per_block}":
            not 1 <= student.layers_per_block <= teacher.layers_per_block,
        f"`norm_groups` must be 1 to {teacher.norm_groups}": not 1 <= groups <= teacher.norm_groups,
        f"`head_size` must be {teacher.head_size}, as heads stay or go whole": student.head_size != teacher.head_size,
    }  # fmt: skip
    for level, (width, full) in enumerate(zip(student.channels, teacher.channels, strict=False)):
        most = full // teacher.norm_groups * groups
        attends = level < len(student.attention) and student.attention[level]
        whole_heads = attends or (student.middle == "attention" and level == levels - 1)
        faults |= {
            f"`channels[{level}]` must be at most {most} with {groups} norm groups": width > most,
            f"`channels[{level}]` must be a multiple of the {groups} norm groups": width % groups != 0,
            f"`channels[{level}]` must be a multiple of the head size {student.head_size}":
                whole_heads and width % student.head_size != 0 and width != full,
            f"`attention[{level}]` must be false, as it is in the teacher":
                attends and not teacher.attention[level],
        }  # fmt: skip
        if 0 < level < levels:
            tied, wanted = (shape.channels[level - 1] == shape.channels[level] for shape in (student, teacher))
            word = "equal" if wanted else "differ"
            faults[f"`channels[{level - 1}]` and `channels[{level}]` must {word}, as the teacher's do"] = tied != wanted
    if wrong := [fault for fault, is_so in faults.items() if is_so]:
        raise ValueError("the student cannot be cut out of the teacher: " + "; ".join(wrong))
