"""The shape of a UNet2DCondition as pruning sees it, what can be cut out of what, and what its config.json says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nutshell.errors import UnsupportedModel, UsageError
from nutshell.language import Text, join, tr
from nutshell.networks.unet_config import KEPT_HEADS, MIDDLE_WIDTH, UNetConfig

MIDDLES: Mapping[str, str | None] = {
    "attention": "UNetMidBlock2DCrossAttn",
    "plain": "UNetMidBlock2D",
    "none": None,
}
_ORDER = ("none", "plain", "attention")


@dataclass(frozen=True)
class UNetShape:
    """Widths of a UNet; `attention[i]` says whether level i attends to itself and to the text.

    head_size: channels of a head, the same on every level or one for each. `middle` is what lies below the last level:
    "attention" between two residual blocks, "plain" (one block) or "none".

    Two things diffusers has no words for, and our networks have. kept_heads: heads of each attention of a level, where
    they are fewer than the level's channels make; () for all. middle_width: channels between the convolutions of the
    middle's residual blocks, and a quarter of its feed-forward units; 0 for the level's own.
    """

    channels: tuple[int, ...]
    attention: tuple[bool, ...]
    layers_per_block: int
    head_size: int | tuple[int, ...]
    norm_groups: int
    middle: str = "attention"
    kept_heads: tuple[int, ...] = ()
    middle_width: int = 0

    def size_of_head(self, level: int) -> int:
        """Channels of a head on that level."""
        return self.head_size if isinstance(self.head_size, int) else self.head_size[level]

    def heads(self, level: int) -> int:
        """Heads that the channels of that level make."""
        return max(1, self.channels[level] // self.size_of_head(level))

    def attention_width(self, level: int) -> int:
        """Channels of all heads of an attention on that level."""
        return self.kept_heads[level] * self.size_of_head(level) if self.kept_heads else self.channels[level]

    def attends(self, level: int) -> bool:
        """Whether heads matter there: in the level, or in the middle below it."""
        below = self.middle == "attention" and level == len(self.channels) - 1
        return (level < len(self.attention) and self.attention[level]) or below

    @property
    def opens_in_diffusers(self) -> bool:
        """Whether diffusers' class can be built in this shape."""
        return not (self.kept_heads or self.middle_width)


def shape_of(config: UNetConfig) -> UNetShape:
    """The shape of a UNet of that configuration. Raises UnsupportedModel for one that cannot be pruned here."""
    uneven = len(set(config.layers)) > 1
    deep = any(depth != 1 for depth in config.transformer_layers)
    if uneven or deep or config.up_attention != tuple(reversed(config.down_attention)):
        raise UnsupportedModel(
            tr("this UNet has levels of different depths, which cannot be pruned yet"),
            tr("Stable Diffusion 1.x and 2.x and their descendants can"),
        )
    sizes = tuple(width // heads for width, heads in zip(config.channels, config.heads, strict=True))
    return UNetShape(
        config.channels,
        config.down_attention,
        config.layers[0],
        sizes,
        config.groups,
        config.mid,
        config.kept_heads,
        config.middle_width,
    )


def config_of(shape: UNetShape, source: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json of a UNet of that shape that was cut out of the one that `source` describes."""
    heads = [shape.heads(level) for level in range(len(shape.channels))]
    downs = ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in shape.attention]
    ups = ["CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(shape.attention)]
    extra: dict[str, Any] = {KEPT_HEADS: list(shape.kept_heads)} if shape.kept_heads else {}
    if shape.middle_width:
        extra[MIDDLE_WIDTH] = shape.middle_width
    return {
        **source,
        "block_out_channels": list(shape.channels),
        "down_block_types": downs,
        "up_block_types": ups,
        "mid_block_type": MIDDLES[shape.middle],
        "layers_per_block": shape.layers_per_block,
        # diffusers' name is wrong: this is the number of heads.
        "attention_head_dim": heads[0] if len(set(heads)) == 1 else heads,
        "norm_num_groups": shape.norm_groups,
        **extra,
    }


def check(whole: UNetShape, part: UNetShape) -> None:
    """Raise a UsageError that says what to change where `part` cannot be cut out of `whole`."""
    if wrong := list(faults(whole, part)):
        raise UsageError(
            tr("a UNet of that shape cannot be cut out of this one: {faults}", faults=join("; ", wrong)),
            tr("ask for less, or for one of the recipes: base, small, tiny"),
        )


def faults(whole: UNetShape, part: UNetShape) -> Iterator[Text]:
    """Every reason why `part` cannot be cut out of `whole`."""
    groups, levels = part.norm_groups, len(part.channels)
    most = len(whole.channels)
    possible = _ORDER[: _ORDER.index(whole.middle) + 1]
    if levels != len(part.attention) or levels > most:
        yield tr("`channels` and `attention` must have equally many levels, at most {most}", most=most)
        return
    if levels < most and part.middle != "none":
        yield tr('with fewer levels, `middle` must be "none"')
    if part.middle not in possible:
        yield tr("`middle` must be one of {names}", names=", ".join(possible))
    if not 1 <= part.layers_per_block <= whole.layers_per_block:
        yield tr("`layers_per_block` must be 1 to {most}", most=whole.layers_per_block)
    if not 1 <= groups <= whole.norm_groups:
        yield tr("`norm_groups` must be 1 to {most}", most=whole.norm_groups)
        return
    if any(part.size_of_head(level) != whole.size_of_head(level) for level in range(levels)):
        yield tr("`head_size` must be {size}, as heads stay or go whole", size=whole.head_size)
    for level in range(levels):
        yield from _level_faults(whole, part, level)
    if whole.middle_width and not 0 < part.middle_width <= whole.middle_width:
        yield tr("the middle must be at most {most} wide", most=whole.middle_width)
    if part.middle_width and (part.middle_width > part.channels[-1] or part.middle_width % groups):
        yield tr(
            "the middle's width must be a multiple of {groups}, at most {most}", groups=groups, most=part.channels[-1]
        )


def _level_faults(whole: UNetShape, part: UNetShape, level: int) -> Iterator[Text]:
    groups, width, full = part.norm_groups, part.channels[level], whole.channels[level]
    most = full // whole.norm_groups * groups
    size = part.size_of_head(level)
    name = f"channels[{level}]"
    if width > most:
        yield tr("`{name}` must be at most {most} with {groups} norm groups", name=name, most=most, groups=groups)
    if width % groups:
        yield tr("`{name}` must be a multiple of the {groups} norm groups", name=name, groups=groups)
    if part.attends(level) and width % size and width != full:
        yield tr("`{name}` must be a multiple of the head size {size}", name=name, size=size)
    if part.attention[level] and not whole.attention[level]:
        yield tr("`attention[{level}]` must be false, as it is in the whole UNet", level=level)
    if level:
        tied, wanted = (shape.channels[level - 1] == shape.channels[level] for shape in (part, whole))
        if tied != wanted:
            first, second = f"channels[{level - 1}]", f"channels[{level}]"
            yield (
                tr("`{first}` and `{second}` must be equal, as in the whole UNet", first=first, second=second)
                if wanted
                else tr("`{first}` and `{second}` must differ, as in the whole UNet", first=first, second=second)
            )
    if part.kept_heads or whole.kept_heads:
        least = min(whole.kept_heads[level] if whole.kept_heads else whole.heads(level), part.heads(level))
        if not part.kept_heads or not 1 <= part.kept_heads[level] <= least:
            yield tr("the heads of level {level} must be 1 to {most}", level=level, most=least)
