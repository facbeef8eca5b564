"""The recipe's numbers, read from `artist.toml` into frozen dataclasses."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class SceneSettings:
    """How a picture is put together (sizes in pixels)."""

    size_pixels: int
    sprite_pixels: int
    held_out_one_in: int
    backgrounds: dict[str, Colour]


@dataclass(frozen=True)
class AutoencoderSettings:
    """Widths, losses and time of the autoencoder."""

    channels: list[int]
    layers_per_block: int
    norm_groups: int
    crop_pixels: int
    batch: int
    whole_from: float
    learning_rate: float
    minutes: float
    gradient_weight: float
    kl_weight: float
    anchor_weight: float


@dataclass(frozen=True)
class TextSettings:
    """Size of the CLIP text encoder and of its vocabulary."""

    layers: int
    width: int
    heads: int
    max_length: int
    max_english_merges: int
    batch: int
    learning_rate: float
    minutes: float


@dataclass(frozen=True)
class DenoiserSettings:
    """Widths, losses and time of the UNet."""

    channels: list[int]
    attention: list[bool]
    layers_per_block: int
    head_size: int
    norm_groups: int
    batch: int
    learning_rate: float
    warmup: float
    decay_from: float
    minutes: float
    ema: float
    snr_cap: float
    empty_caption: float
    white_share: float
    noisy_share: float
    pure_noise_share: float


@dataclass(frozen=True)
class Settings:
    """The whole recipe."""

    scene: SceneSettings
    autoencoder: AutoencoderSettings
    text: TextSettings
    denoiser: DenoiserSettings


def load_settings(path: Path = HERE / "artist.toml") -> Settings:
    """Read the recipe; a missing or unknown row is a `TypeError` that names it."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    backgrounds = {name: tuple(rgb) for name, rgb in table["scene"].pop("backgrounds").items()}
    return Settings(
        scene=SceneSettings(backgrounds=backgrounds, **table["scene"]),
        autoencoder=AutoencoderSettings(**table["autoencoder"]),
        text=TextSettings(**table["text"]),
        denoiser=DenoiserSettings(**table["denoiser"]),
    )
