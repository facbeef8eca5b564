"""Large square pixels are measured."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")

from training.judge.grid import grid_strength, is_pixel_art  # noqa: E402
from training.scenes.grounds import draw_ground  # noqa: E402
from training.scenes.scene import BACKGROUNDS, Background  # noqa: E402
from training.scenes.styles import finish  # noqa: E402


def pictures(style: str) -> torch.Tensor:
    """Every kind of background in one style: uint8 (n, 3, 256, 256)."""
    colours = {"plain": ("red",), "gradient": ("red", "blue")}
    drawn = [draw_ground(Background(kind, colours.get(kind, ()), 1), 256) for kind in BACKGROUNDS]
    styled = [finish(picture.astype(np.float32) / 255, style) for picture in drawn]
    return torch.from_numpy(np.stack(styled).transpose(0, 3, 1, 2).copy())


def test_pixel_art_has_a_grid_and_other_pictures_have_none() -> None:
    assert not is_pixel_art(pictures("")).any()
    shown = [number for number, kind in enumerate(BACKGROUNDS) if kind != "plain"]  # one colour has no pixels
    assert is_pixel_art(pictures("pixel art")[shown]).all()


def test_one_colour_and_noise_have_none() -> None:
    plain = torch.full((1, 3, 256, 256), 90, dtype=torch.uint8)
    noise = torch.randint(0, 256, (1, 3, 256, 256), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert grid_strength(plain).item() == pytest.approx(1)
    assert grid_strength(noise).item() == pytest.approx(1, abs=0.05)
