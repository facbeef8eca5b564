"""The shape that is asked for: BK-SDM's recipes by name, and single wishes on top.

BK-SDM (Kim et al. 2023, arXiv:2305.15798) takes whole blocks out of Stable Diffusion 1.x. base: of two residual and
attention blocks of a level one stays on the way down, and of three the first and the last on the way up. small: base
without the middle. tiny: small without the lowest level. The last block on the way up stays because it takes the skip
connection of the level above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nutshell.compress.shapes import UNetShape, check, faults
from nutshell.errors import UsageError
from nutshell.language import tr

RECIPES = ("base", "small", "tiny")


@dataclass(frozen=True)
class Wishes:
    """What is to go. recipe: of RECIPES, or "" for none. None and 0 leave things as they are.

    channels: the share of the channels of every level that stays, with their heads and feed-forward units.
    heads: of each attention, fewer than the channels make. middle: "plain" or "none". halve_middle: half of what is
    inside the middle's blocks. layers: residual blocks of a level on the way down. levels: those that stay, finest
    first.
    """

    recipe: str = ""
    channels: float | None = None
    heads: int = 0
    middle: str = ""
    halve_middle: bool = False
    layers: int = 0
    levels: int = 0


def shape_wished(whole: UNetShape, wishes: Wishes) -> UNetShape:
    """The shape to cut out of `whole`. Raises UsageError where it cannot be."""
    shape = whole
    if wishes.recipe:
        shape = _recipe(shape, wishes.recipe)
    if wishes.levels:
        shape = _fewer_levels(shape, wishes.levels)
    shape = replace(shape, layers_per_block=wishes.layers or shape.layers_per_block)
    shape = replace(shape, middle=wishes.middle or shape.middle)
    if wishes.channels is not None:
        shape = _narrower(whole, shape, wishes.channels)
    if wishes.heads:
        heads = [min(wishes.heads, shape.heads(level)) for level in range(len(shape.channels))]
        full = tuple(heads) == tuple(shape.heads(level) for level in range(len(shape.channels)))
        shape = replace(shape, kept_heads=() if full else tuple(heads))
    if wishes.halve_middle and shape.middle != "none":
        shape = replace(shape, middle_width=(shape.middle_width or shape.channels[-1]) // 2)
    check(whole, shape)
    if shape == whole:
        raise UsageError(
            tr("nothing would be taken out of this model"),
            tr("name a recipe (--recipe base, small or tiny), or what is to go: --channels, --heads, --layers ..."),
        )
    return shape


def _recipe(whole: UNetShape, name: str) -> UNetShape:
    if name not in RECIPES:
        raise UsageError(
            tr("there is no recipe {name!r}", name=name), tr("known: {names}", names=", ".join(RECIPES))
        )  # fmt: skip
    shape = replace(whole, layers_per_block=1)
    if name in ("small", "tiny"):
        shape = replace(shape, middle="none", middle_width=0)
    if name == "tiny":
        if len(whole.channels) < 2:
            raise UsageError(tr("this UNet has one level only"), tr("take the recipe small"))
        shape = _fewer_levels(shape, len(whole.channels) - 1)
    return shape


def _fewer_levels(shape: UNetShape, levels: int) -> UNetShape:
    """The finest levels, and no middle where one is gone."""
    if not 1 <= levels <= len(shape.channels):
        raise UsageError(
            tr("this UNet has {count} levels", count=len(shape.channels)), tr("--levels is 1 to that")
        )  # fmt: skip
    if levels == len(shape.channels):
        return shape
    return replace(
        shape,
        channels=shape.channels[:levels],
        attention=shape.attention[:levels],
        head_size=shape.head_size if isinstance(shape.head_size, int) else shape.head_size[:levels],
        kept_heads=shape.kept_heads[:levels],
        middle="none",
        middle_width=0,
    )


def _narrower(whole: UNetShape, shape: UNetShape, share: float) -> UNetShape:
    """Every level narrowed alike, by whole groups of the norms and whole heads: the nearest share that can be."""
    if not 0 < share <= 1:
        raise UsageError(tr("--channels is a share, more than 0 and at most 1, not {share}", share=share))
    candidates = list(_narrowed(whole, shape))
    if not candidates or (share < 1 and candidates == [shape]):
        raise UsageError(
            tr("the levels of this UNet cannot be narrowed alike by whole groups and heads"),
            tr("take out blocks instead: --recipe, --layers, --middle"),
        )
    return min(candidates, key=lambda narrow: abs(narrow.norm_groups / whole.norm_groups - share))


def _narrowed(whole: UNetShape, shape: UNetShape) -> Iterator[UNetShape]:
    for groups in range(1, whole.norm_groups + 1):
        channels = tuple(width // whole.norm_groups * groups for width in shape.channels)
        narrow = replace(shape, channels=channels, norm_groups=groups, kept_heads=())
        if narrow.middle_width:
            narrow = replace(narrow, middle_width=min(narrow.middle_width // whole.norm_groups * groups, channels[-1]))
        if not any(True for _ in faults(replace(whole, kept_heads=()), narrow)):
            yield narrow
