"""The student and its teacher as they are trained; what it learns is in `nutshell.compress.teaching.losses`.

Where the student is narrower, a 1x1 convolution says what its channels tell about all of the teacher's (FitNets,
Romero et al. 2014, arXiv:1412.6550); it starts as "each channel that stayed is itself".
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from nutshell.compress.teaching.losses import distillation_loss, shared_features
from nutshell.compress.teaching.noise import add_noise, draw_steps
from nutshell.compress.wiring import Wiring
from training.artist.settings import StudentTraining


class Guide:
    """What the student learns from: a frozen copy of the teacher, in bfloat16, and the text encoder that both read.

    Threads may share it.
    """

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        self.unet = copy.deepcopy(unet).bfloat16().requires_grad_(False).eval()
        self.text_encoder = text_encoder

    def read(self, ids: Tensor) -> Tensor:
        """What the captions say: (n, max_length, width)."""
        return read(self.text_encoder, ids)

    @torch.no_grad()
    def predict(self, noisy: Tensor, steps: Tensor, condition: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The teacher's v and features, in float32."""
        dtype = self.unet.dtype
        v, features = with_features(self.unet, noisy.to(dtype), steps, condition.to(dtype))
        return v.float(), {name: feature.float() for name, feature in features.items()}


class Student(nn.Module):
    """The student's UNet and, for the training alone, a projection for each feature that it shares with the teacher."""

    def __init__(self, unet: UNet2DConditionModel, wiring: Wiring, kept: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.unet = unet
        self.projections = nn.ModuleDict(
            {name: _projection(wiring.axes[axis].full, kept[axis]) for name, axis in feature_axes(wiring).items()}
        )

    def loss(self, batch: tuple[Tensor, ...], guide: Guide, alphas: Tensor, settings: StudentTraining) -> Tensor:
        """Weighted sum of three errors for token ids and latents: to the teacher's v, its features, and the true v."""
        ids, latents = batch
        steps = draw_steps(len(latents), settings, len(alphas) - 1, latents.device)
        noised = add_noise(latents, steps, alphas)
        condition = guide.read(ids)
        wanted, theirs = guide.predict(noised.noisy, steps, condition)
        with torch.autocast(latents.device.type, dtype=torch.bfloat16):
            v, ours = with_features(self.unet, noised.noisy, steps, condition)
            told = {name: project(ours[name]) for name, project in self.projections.items()}
        return distillation_loss(noised, v, wanted, told, theirs, settings)


@torch.no_grad()
def read(text_encoder: CLIPTextModel, ids: Tensor) -> Tensor:
    """Token ids (n, max_length) to hidden states (n, max_length, width) that no gradient passes."""
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        condition: Tensor = text_encoder(ids).last_hidden_state
    return condition


def with_features(
    unet: UNet2DConditionModel, noisy: Tensor, steps: Tensor, condition: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """What `unet(noisy, steps, condition)` does, and what comes out of each of its blocks on the way.

    Noisy latents (n, 4, h, w), steps (n,), condition (n, length, width). Written out in place of forward hooks, for
    these keep their results in the network, which two threads may be using. Features are named "down0" ... (finest
    level first), "middle" and "up0" ... (also the finest first).
    """
    time = unet.time_embedding(unet.time_proj(steps).to(noisy.dtype))
    features: dict[str, Tensor] = {}
    x = unet.conv_in(noisy)
    skips = [x]
    for level, block in enumerate(unet.down_blocks):
        x, made = block(x, time, **_attending(block, condition))
        skips.extend(made)
        features[f"down{level}"] = x
    if unet.mid_block is not None:
        x = unet.mid_block(x, time, **_attending(unet.mid_block, condition))
        features["middle"] = x
    for number, block in enumerate(unet.up_blocks):
        count = len(block.resnets)
        x = block(x, tuple(skips[-count:]), time, **_attending(block, condition))
        del skips[-count:]
        features[f"up{len(unet.up_blocks) - 1 - number}"] = x
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(x))), features


def feature_axes(wiring: Wiring) -> dict[str, str]:
    """The features that teacher and student both have, at the same resolution, with the axes of their channels."""
    levels = len(wiring.student.channels)
    lowest = f"down.{levels - 1}"
    axes = {f"down{level}": wiring.shrunk(level) for level in range(levels - 1)}
    axes |= {f"up{level}": f"up.{level}.grown" if level else "up.0" for level in range(levels)}
    axes |= {f"down{levels - 1}": lowest, "middle": lowest}
    middles = wiring.student.middle != "none"
    return {name: axes[name] for name in shared_features(levels, len(wiring.teacher.channels), middles)}


def _attending(block: nn.Module, condition: Tensor) -> dict[str, Tensor]:
    return {"encoder_hidden_states": condition} if getattr(block, "has_cross_attention", False) else {}


def _projection(full: int, kept: Tensor) -> nn.Conv2d:
    projection = nn.Conv2d(len(kept), full, 1)
    nn.init.zeros_(projection.weight)
    nn.init.zeros_(projection.bias)
    with torch.no_grad():
        projection.weight[kept, torch.arange(len(kept))] = 1.0
    return projection
