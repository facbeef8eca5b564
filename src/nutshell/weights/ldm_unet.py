"""The UNet's modules in the single-file layout, whatever its depth.

There, blocks are numbered straight through and a level ends where a resampler stands:

    input_blocks.0.0            conv_in
    input_blocks.1.0, .1        resnet, attention        down_blocks.0.resnets.0, .attentions.0
    input_blocks.3.0.op         downsampler              down_blocks.0.downsamplers.0.conv
    middle_block.0, .1, .2      resnet, attention, ...   mid_block (a pruned model has none)
    output_blocks.2.0, .1, .2   resnet, attention or not, upsampler or not

Either side's names are first read into an `Anatomy`, and the pairs of modules follow from that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from nutshell.weights.modules import Module
from nutshell.weights.scope import Outline

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ENDS = (
    Module("time_embed.0", "time_embedding.linear_1"),
    Module("time_embed.2", "time_embedding.linear_2"),
    Module("input_blocks.0.0", "conv_in"),
    Module("out.0", "conv_norm_out"),
    Module("out.2", "conv_out"),
)


@dataclass(frozen=True)
class Level:
    """One resolution. `attends`: for each resnet, whether an attention follows it."""

    attends: tuple[bool, ...]
    resamples: bool


@dataclass(frozen=True)
class Anatomy:
    """What stands where. `middle`: for each resnet of the mid block, whether an attention follows it."""

    down: tuple[Level, ...]
    middle: tuple[bool, ...]
    up: tuple[Level, ...]


def modules_of_ldm(names: Iterable[str]) -> list[Module]:
    """Pairs (single-file, canonical) for single-file names without their prefix."""
    steps = Outline(names).steps
    middle = [_kind(steps, f"middle_block.{n}") for n in range(len(steps.get("middle_block", ())))]
    anatomy = Anatomy(
        down=_levels([_kinds(steps, f"input_blocks.{n}") for n in range(1, len(steps.get("input_blocks", ())))]),
        middle=_attends(middle),
        up=_levels([_kinds(steps, f"output_blocks.{n}") for n in range(len(steps.get("output_blocks", ())))]),
    )
    return _modules(anatomy)


def modules_of_canonical(names: Iterable[str]) -> list[Module]:
    """Pairs (single-file, canonical) for canonical names."""
    steps = Outline(names).steps

    def level(scope: str, resampler: str) -> Level:
        return Level(attends(scope), resampler in steps.get(scope, ()))

    def attends(scope: str) -> tuple[bool, ...]:
        resnets, attentions = (len(steps.get(f"{scope}.{kind}", ())) for kind in ("resnets", "attentions"))
        return tuple(n < attentions for n in range(resnets))

    down, up = (len(steps.get(blocks, ())) for blocks in ("down_blocks", "up_blocks"))
    anatomy = Anatomy(
        down=tuple(level(f"down_blocks.{n}", "downsamplers") for n in range(down)),
        middle=attends("mid_block"),
        up=tuple(level(f"up_blocks.{n}", "upsamplers") for n in range(up)),
    )
    return _modules(anatomy)


def _modules(anatomy: Anatomy) -> list[Module]:
    modules = list(_ENDS)
    block = 1
    for n, level in enumerate(anatomy.down):
        for k, attends in enumerate(level.attends):
            modules += _pair(f"input_blocks.{block}.", 0, f"down_blocks.{n}", k, attends, level.attends)
            block += 1
        if level.resamples:
            modules.append(Module(f"input_blocks.{block}.0.op", f"down_blocks.{n}.downsamplers.0.conv"))
            block += 1
    place = 0
    for k, attends in enumerate(anatomy.middle):
        modules += _pair("middle_block.", place, "mid_block", k, attends, anatomy.middle)
        place += 1 + attends
    block = 0
    for n, level in enumerate(anatomy.up):
        for k, attends in enumerate(level.attends):
            modules += _pair(f"output_blocks.{block}.", 0, f"up_blocks.{n}", k, attends, level.attends)
            if level.resamples and k == len(level.attends) - 1:
                upsampler = f"output_blocks.{block}.{1 + attends}.conv"
                modules.append(Module(upsampler, f"up_blocks.{n}.upsamplers.0.conv"))
            block += 1
    return modules


def _pair(there: str, place: int, here: str, k: int, attends: bool, row: tuple[bool, ...]) -> list[Module]:
    """The k-th resnet of a row and, where it has one, its attention."""
    found = [Module(f"{there}{place}", f"{here}.resnets.{k}", RESNET)]
    if attends:
        found.append(Module(f"{there}{place + 1}", f"{here}.attentions.{sum(row[:k])}"))
    return found


def _levels(blocks: list[list[str]]) -> tuple[Level, ...]:
    """Cut a row of blocks, each given by its modules' kinds, into levels: each ends with its resampler."""
    levels: list[Level] = []
    attends: list[bool] = []
    for kinds in blocks:
        if "resnet" in kinds:
            attends.append("attention" in kinds)
        if "resampler" in kinds:
            levels.append(Level(tuple(attends), resamples=True))
            attends = []
    if attends:
        levels.append(Level(tuple(attends), resamples=False))
    return tuple(levels)


def _attends(kinds: list[str]) -> tuple[bool, ...]:
    return tuple(after == "attention" for kind, after in pairwise([*kinds, ""]) if kind == "resnet")


def _kinds(steps: dict[str, set[str]], block: str) -> list[str]:
    return [_kind(steps, f"{block}.{n}") for n in range(len(steps.get(block, ())))]


def _kind(steps: dict[str, set[str]], scope: str) -> str:
    """What stands at a scope, told by what it contains."""
    inside = steps.get(scope, set())
    if "in_layers" in inside:
        return "resnet"
    if "transformer_blocks" in inside:
        return "attention"
    if inside & {"op", "conv"}:
        return "resampler"
    return "unknown"
