"""The trained autoencoder as it is shipped: the same files in diffusers and in Nutshell, and good enough."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import AutoencoderTiny  # noqa: E402

from nutshell.engines import open_engine  # noqa: E402
from nutshell.networks import autoencoder_tiny  # noqa: E402
from nutshell.pipeline.facts import read_vae  # noqa: E402
from nutshell.weights import open_part  # noqa: E402
from tests.training.fake_art import fake_world, write_art  # noqa: E402
from training.autoencoder.metrics import psnr_db, ssim  # noqa: E402
from training.autoencoder.network import encode, round_trip, to_unit  # noqa: E402
from training.scenes.sampler import Sampler  # noqa: E402
from training.scenes.studio import Studio  # noqa: E402

FOLDER = Path(__file__).parents[2] / "training" / "autoencoder" / "vae"


@pytest.fixture(scope="module")
def theirs() -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(FOLDER, torch_dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """Scenes of shaded ellipses on real backgrounds: not what it was trained on, but of its kind."""
    cache, world, random = tmp_path_factory.mktemp("cache"), fake_world(), Random(11)
    write_art(cache, world)
    sampler = Sampler(world, held_out=frozenset())
    scenes = [scene for scene in (sampler.scene(random) for _ in range(40)) if not scene.style][:12]
    return torch.from_numpy(Studio(world, cache).pictures(scenes).transpose(0, 3, 1, 2).copy())


@pytest.mark.reference
@pytest.mark.parametrize("engine", ["numpy", "openvino", "onnx", "torch"])
def test_nutshell_computes_what_diffusers_does(theirs: AutoencoderTiny, pictures: torch.Tensor, engine: str) -> None:
    side = 64
    part = open_part(FOLDER)
    config = read_vae(part)
    assert isinstance(config, autoencoder_tiny.AutoencoderTinyConfig)
    x = to_unit(pictures[:1, :, 96 : 96 + side, 96 : 96 + side])
    with torch.no_grad():
        latent = theirs.encode(x).latents
        decoded = theirs.decode(latent).sample.numpy()
    for network, given, wanted in (
        (autoencoder_tiny.encoder(config, side, side), {"picture": x.contiguous().numpy()}, latent.numpy()),
        (autoencoder_tiny.decoder(config, side // 8, side // 8), {"latent": latent.numpy()}, decoded),
    ):
        session = open_engine(engine).compile(network, part.weights, "f32")
        assert np.abs(session(**given) - wanted).max() <= 1e-3 * wanted.std()
        session.close()


def test_pictures_survive_the_round_trip(theirs: AutoencoderTiny, pictures: torch.Tensor) -> None:
    back = round_trip(theirs, pictures)
    assert float(psnr_db(back, pictures).mean()) > 28
    assert float(ssim(back, pictures).mean()) > 0.9


def test_the_config_holds_the_measured_scale(theirs: AutoencoderTiny, pictures: torch.Tensor) -> None:
    latents = encode(theirs, pictures) * theirs.config.scaling_factor
    assert 0.5 < float(latents.std()) < 1.5
    assert abs(float(latents.mean())) < 0.5
    assert theirs.config.scaling_factor != 1.0
    assert theirs.config.shift_factor == 0.0


def test_the_decoder_is_small() -> None:
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert config["_class_name"] == "AutoencoderTiny"
    with torch.device("meta"):
        model = AutoencoderTiny.from_config(config)
    assert 1e6 < sum(p.numel() for p in model.decoder.parameters()) < 2e6
    assert (FOLDER / "diffusion_pytorch_model.safetensors").stat().st_size < 8 * 2**20
