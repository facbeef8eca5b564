"""The linear preview: a fit that finds a map which is there, printed as a card reads it."""

from __future__ import annotations

import pytest

tomllib = pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

import numpy as np  # noqa: E402
from diffusers import AutoencoderTiny  # noqa: E402

from nutshell.pipeline.preview import linear_preview  # noqa: E402
from training.autoencoder.network import WEIGHTS, encode  # noqa: E402
from training.autoencoder.preview import as_toml, cells, error, fit  # noqa: E402


def test_a_linear_map_is_found() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(-0.05, 0.05, (5, 3)) + np.array([0, 0, 0, 0, 0.5])[:, None]
    latents = random.standard_normal((500, 4))
    colours = np.hstack([latents, np.ones((500, 1))]) @ truth
    rows = fit(latents, colours)
    np.testing.assert_allclose(rows, truth, atol=1e-9)
    assert error(rows, latents, colours) < 1e-9
    assert error(rows, latents, 1 - colours) > 0.01


def test_the_card_shows_a_latent_in_the_colours_of_its_picture() -> None:
    """Through the printed text: encoded as the denoiser sees it, seen as `nutshell generate --preview` shows it."""
    model = AutoencoderTiny.from_pretrained(WEIGHTS)
    random = np.random.default_rng(1)
    flat = np.repeat(np.repeat(random.integers(30, 226, (4, 3, 2, 2)), 32, axis=2), 32, axis=3).astype(np.uint8)
    pictures = torch.from_numpy(flat)
    rows = fit(*cells(model, pictures))
    read = tuple(map(tuple, tomllib.loads(as_toml(rows, 0.05))["preview"]))
    latent = (encode(model, pictures[:1]) * model.config.scaling_factor).numpy()
    shown = np.asarray(linear_preview(latent, read), np.float32)
    wanted = flat[0].reshape(3, 8, 8, 8, 8).mean(axis=(2, 4)).transpose(1, 2, 0)
    assert np.abs(shown - wanted).mean() < 12
    assert "5.0% of full scale" in as_toml(rows, 0.05)
