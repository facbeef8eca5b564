"""A smaller UNet cut out of a trained one: `nutshell.compress.cutting` for PyTorch's networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor

from nutshell.compress import cutting
from nutshell.compress.wiring import Wiring, wire
from training.artist.importance import magnitude
from training.artist.networks import build_unet
from training.artist.settings import UNetSettings
from training.artist.shapes import check, shape_of


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
    """The channels of every axis that stay, ascending. -1 stands for a channel without content."""
    arrays = {name: score.float().cpu().numpy() for name, score in scores.items()}
    return {name: torch.from_numpy(places) for name, places in cutting.select(wiring, arrays).items()}


def cut(teacher: UNet2DConditionModel, wiring: Wiring, kept: Mapping[str, Tensor]) -> UNet2DConditionModel:
    """The smaller UNet with these channels of the teacher's."""
    unet = build_unet(wiring.student, teacher.config.cross_attention_dim, teacher.config.sample_size)
    whole = {name: tensor.detach().cpu().numpy() for name, tensor in teacher.state_dict().items()}
    whole[cutting.FIRST_TIME_WEIGHT] = _retimed(whole[cutting.FIRST_TIME_WEIGHT], teacher, unet)
    places = {name: chosen.numpy() for name, chosen in kept.items()}
    state = {}
    for name in unet.state_dict():
        blank = np.ones((), np.float32) if name.endswith(".weight") else np.zeros((), np.float32)
        array = cutting.cut(wiring, places, name, whole.__getitem__, blank)
        state[name] = torch.from_numpy(np.ascontiguousarray(array))
    unet.load_state_dict(state)
    return unet.to(teacher.device)


def _retimed(
    weight: NDArray[np.float32], teacher: UNet2DConditionModel, student: UNet2DConditionModel
) -> NDArray[np.float32]:
    """The time embedding's first weights for the student's sinusoids, which number as many as its first channels."""
    projections = {unet.config.block_out_channels[0]: unet.time_proj for unet in (teacher, student)}
    size = student.config.block_out_channels[0]
    if size == weight.shape[1]:
        return weight

    def features(channels: int, step: float) -> NDArray[np.float64]:
        sinusoids: NDArray[np.float64] = projections[channels](torch.tensor([step]))[0].double().numpy()
        return sinusoids

    return cutting.retimed(weight, features, size).astype(weight.dtype)
