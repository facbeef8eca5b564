"""A smaller UNet cut out of a trained one: the channels, heads and feed-forward units that matter most.

What `UNet2DConditionModel` can express without, and so may be smaller or missing in the shape that is asked for:
channels of any level; heads and feed-forward units (in proportion to the channels); the attention of a level; residual
blocks beyond the first of a level; the middle block, or its attention; the lowest levels, with the middle block.

Group norms: of the teacher's groups the most important stay, all where there are as many groups as before, and of
each group the same number of channels. Groups that stay whole keep their statistics exactly. After a concatenation
groups run across two streams, and fit only where all levels are narrowed alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from training.artist.importance import magnitude
from training.artist.networks import build_unet
from training.artist.settings import UNetSettings
from training.artist.shapes import check, shape_of
from training.artist.wiring import ABSENT, Axes, Axis, Wiring, wire


def prune(
    teacher: UNet2DConditionModel, shape: UNetSettings, scores: Mapping[str, Tensor] | None = None
) -> UNet2DConditionModel:
    """The UNet of that shape with the teacher's most important channels.

    `scores` holds the importance of every weight of the teacher (see `importance.py`); without it, its magnitude.
    Raises `ValueError` for a shape that cannot be cut out of the teacher's.
    """
    wiring = wiring_of(teacher, shape)
    return cut(teacher, wiring, select(wiring, magnitude(teacher) if scores is None else scores))


def wiring_of(teacher: UNet2DConditionModel, shape: UNetSettings) -> Wiring:
    """How a UNet of that shape is cut out of the teacher. Raises `ValueError` where it cannot be."""
    whole = shape_of(teacher, shape.head_size)
    check(whole, shape)
    return wire(whole, shape)


def select(wiring: Wiring, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The channels of every axis that stay, ascending. -1 stands for a channel without content.

    A channel matters as far as it is both made and read: the geometric mean of the scores of the weights that make it
    and of those that read it. What is never made, or never read, goes first.
    """
    made, read = ({name: torch.zeros(axis.full) for name, axis in wiring.axes.items()} for _ in range(2))
    for place in wiring.tensors.values():
        for dimension, (axes, totals) in enumerate(zip(place.axes if place.says else (), (made, read), strict=False)):
            if axes:
                score = scores[place.source].float().cpu().movedim(dimension, 0)
                parts = score.reshape(len(score), -1).sum(1).split([wiring.axes[name].full for name in axes])
                for name, part in zip(axes, parts, strict=True):
                    totals[name] += part
    kept = {name: _best(axis, (made[name] * read[name]).sqrt()) for name, axis in wiring.axes.items()}
    if ABSENT in kept:
        kept[ABSENT] = torch.full((wiring.axes[ABSENT].size,), -1)
    return kept


def cut(teacher: UNet2DConditionModel, wiring: Wiring, kept: Mapping[str, Tensor]) -> UNet2DConditionModel:
    """The smaller UNet with these channels of the teacher's."""
    unet = build_unet(wiring.student, teacher.config.cross_attention_dim, teacher.config.sample_size)
    whole = {name: tensor.detach() for name, tensor in teacher.state_dict().items()}
    whole["time_embedding.linear_1.weight"] = _retimed(teacher, unet)
    state = {}
    for name, fresh in unet.state_dict().items():
        place = wiring.tensors[name]
        tensor = whole[place.source].cpu()
        for dimension, axes in enumerate(place.axes):
            if axes:
                chosen = _joined(wiring, kept, axes)
                # A norm's channel without content keeps its fresh scale, so that it can learn; a map's reads nothing.
                blank = fresh.cpu() if tensor.dim() == 1 else torch.zeros(())
                seen = (chosen >= 0).view(-1, *[1] * (tensor.dim() - 1 - dimension))
                tensor = torch.where(seen, tensor.index_select(dimension, chosen.clamp(min=0)), blank)
        state[name] = tensor
    unet.load_state_dict(state)
    return unet.to(teacher.device)


def _best(axis: Axis, total: Tensor) -> Tensor:
    runs = total.view(axis.full_groups, -1)
    groups = runs.sum(1).topk(axis.groups).indices.sort().values
    inside = runs[groups].topk(axis.size // axis.groups, dim=1).indices.sort(dim=1).values
    return (groups[:, None] * runs.shape[1] + inside).flatten()


def _joined(wiring: Wiring, kept: Mapping[str, Tensor], axes: Axes) -> Tensor:
    """Channels of axes that lie one after another."""
    parts, start = [], 0
    for name in axes:
        parts.append(torch.where(kept[name] >= 0, kept[name] + start, -1))
        start += wiring.axes[name].full
    return torch.cat(parts)


def _retimed(teacher: UNet2DConditionModel, student: UNet2DConditionModel) -> Tensor:
    """The time embedding's first weights for the student's sinusoids, which number as many as its first channels.

    They are not some of the teacher's: least squares over all steps says how to put the teacher's together. The slow
    ones among both are nearly one another's sums; `rcond` keeps the factors small at an error of 1e-5 or so in them.
    """
    weight: Tensor = teacher.time_embedding.linear_1.weight.detach().cpu()
    steps = torch.arange(1000)
    ours, theirs = student.time_proj(steps).double(), teacher.time_proj(steps).double()
    if ours.shape == theirs.shape:
        return weight
    mixture = torch.linalg.lstsq(ours, theirs, rcond=1e-2, driver="gelsd").solution
    return (weight.double() @ mixture.T).to(weight.dtype)
