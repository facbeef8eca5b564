"""The VAE's modules in the single-file layout. There the decoder's levels are numbered from the picture in."""

from __future__ import annotations

from collections.abc import Iterable

from nutshell.weights.modules import Module
from nutshell.weights.scope import Outline

RESNET = {"norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2", "nin_shortcut": "conv_shortcut"}
ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
_SAME = ("encoder.conv_in", "encoder.conv_out", "decoder.conv_in", "decoder.conv_out", "quant_conv", "post_quant_conv")


def modules_of_ldm(names: Iterable[str]) -> list[Module]:
    """Pairs (single-file, canonical) for single-file names without their prefix."""
    steps = Outline(names).steps
    return _modules(_rows(steps, "encoder.down", "block"), _rows(steps, "decoder.up", "block"))


def modules_of_canonical(names: Iterable[str]) -> list[Module]:
    """Pairs (single-file, canonical) for canonical names."""
    steps = Outline(names).steps
    up = _rows(steps, "decoder.up_blocks", "resnets")
    return _modules(_rows(steps, "encoder.down_blocks", "resnets"), up[::-1])


def _rows(steps: dict[str, set[str]], blocks: str, resnets: str) -> list[int]:
    """How many resnets each level has."""
    return [len(steps.get(f"{blocks}.{n}.{resnets}", ())) for n in range(len(steps.get(blocks, ())))]


def _modules(down: list[int], up: list[int]) -> list[Module]:
    """`down`, `up`: resnets of each level, both counted from the picture in, as the single file does."""
    modules = [Module(name, name) for name in _SAME]
    for side in ("encoder", "decoder"):
        modules.append(Module(f"{side}.norm_out", f"{side}.conv_norm_out"))
        modules.append(Module(f"{side}.mid.attn_1", f"{side}.mid_block.attentions.0", ATTENTION))
        modules += [Module(f"{side}.mid.block_{n + 1}", f"{side}.mid_block.resnets.{n}", RESNET) for n in range(2)]
    sides = (
        ("encoder.down", "encoder.down_blocks", "downsample", down),
        ("decoder.up", "decoder.up_blocks", "upsample", up),
    )
    for there, here, resample, rows in sides:
        for n, resnets in enumerate(rows):
            level = n if resample == "downsample" else len(rows) - 1 - n
            modules += [Module(f"{there}.{n}.block.{k}", f"{here}.{level}.resnets.{k}", RESNET) for k in range(resnets)]
            modules.append(Module(f"{there}.{n}.{resample}", f"{here}.{level}.{resample}rs.0"))
    return modules
