"""The autoencoder: diffusers' AutoencoderTiny, and its latents brought to mean 0 and deviation 1."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from training import pixels
from training.autoencoder.settings import NetworkSettings

WEIGHTS = Path(__file__).parent / "vae"
"""The trained autoencoder."""


def build(settings: NetworkSettings) -> AutoencoderTiny:
    """A fresh network in channels_last, the faster layout for convolutions without normalization."""
    levels = len(settings.encoder_blocks)
    model = AutoencoderTiny(
        encoder_block_out_channels=(settings.width,) * levels,
        decoder_block_out_channels=(settings.width,) * levels,
        num_encoder_blocks=settings.encoder_blocks,
        num_decoder_blocks=settings.decoder_blocks,
        latent_channels=4,
        scaling_factor=1.0,
    )
    return model.to(memory_format=torch.channels_last)


def to_unit(pictures: Tensor) -> Tensor:
    """uint8 0..255 -> float -1..1, channels_last."""
    return pixels.to_unit(pictures).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def encode(model: AutoencoderTiny, pictures: Tensor, batch: int = 8) -> Tensor:
    """Latents of uint8 (n, 3, side, side): float (n, 4, side/8, side/8), on the CPU, as the network gives them."""
    return torch.cat([model.encode(to_unit(part.to(model.device))).latents.cpu() for part in pictures.split(batch)])


@torch.no_grad()
def round_trip(model: AutoencoderTiny, pictures: Tensor, batch: int = 8) -> Tensor:
    """uint8 (n, 3, side, side) -> the same after encoding and decoding."""
    parts = []
    for part in pictures.split(batch):
        decoded = model.decode(model.encode(to_unit(part.to(model.device))).latents).sample
        parts.append(((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu())
    return torch.cat(parts)


@torch.no_grad()
def normalize(model: AutoencoderTiny, mean: Tensor, deviation: Tensor) -> None:
    """Fold each latent channel's mean and deviation into the convolutions around it; both are (4,).

    Not exact: the decoder first squeezes its input by 3 tanh(x / 3), so training goes on afterwards. The decoder's
    first convolution pads with zeros, which stand for a latent of 0 before and for the mean after.
    """
    last, first = model.encoder.layers[-1], model.decoder.layers[0]
    mean, deviation = mean.to(last.bias), deviation.to(last.bias)
    last.weight /= deviation.view(-1, 1, 1, 1)
    last.bias.copy_((last.bias - mean) / deviation)
    first.bias += torch.einsum("oihw,i->o", first.weight, mean)
    first.weight *= deviation.view(1, -1, 1, 1)
