"""The numbers of `autoencoder.toml` as frozen dataclasses."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class NetworkSettings:
    """Width and blocks a level."""

    width: int
    encoder_blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]


@dataclass(frozen=True)
class TrainingSettings:
    """Budget, batch and pace; `batch` and `cuda_batch` count crops."""

    minutes: float
    scenes: int
    crop_pixels: int
    batch: int
    cuda_batch: int
    learning_rate: float
    warmup: float
    decay_from: float
    ema: float
    normalize_at: float


@dataclass(frozen=True)
class LossSettings:
    """Weights of the loss."""

    edges: float
    structure: float
    anchor: float
    noise: float


@dataclass(frozen=True)
class Smoothing:
    """Budget and weights of `smooth.py`; see the comments in `autoencoder.toml`."""

    minutes: float
    learning_rate: float
    noise: float
    half_size: float
    held: float
    rough: float
    beyond: float


@dataclass(frozen=True)
class AutoencoderSettings:
    """The whole recipe."""

    network: NetworkSettings
    training: TrainingSettings
    loss: LossSettings
    smoothing: Smoothing


def load_autoencoder_settings(path: Path = HERE / "autoencoder.toml") -> AutoencoderSettings:
    """Read the recipe; a missing or unknown row is a `TypeError` that names it."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    network = {name: tuple(value) if isinstance(value, list) else value for name, value in table["network"].items()}
    return AutoencoderSettings(
        NetworkSettings(**network),
        TrainingSettings(**table["training"]),
        LossSettings(**table["loss"]),
        Smoothing(**table["smoothing"]),
    )
