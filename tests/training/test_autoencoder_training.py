"""The autoencoder's training on scenes of our own: it learns, normalizes, saves, resumes. No art, no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import AutoencoderTiny  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402

from tests.training.fake_art import fake_world, write_art  # noqa: E402
from training.autoencoder import smooth  # noqa: E402
from training.autoencoder.metrics import psnr_db, ssim, structure_loss  # noqa: E402
from training.autoencoder.network import build, encode, normalize, round_trip, to_unit  # noqa: E402
from training.autoencoder.settings import load_autoencoder_settings  # noqa: E402
from training.autoencoder.smooth import rough_power, roughness  # noqa: E402
from training.autoencoder.train import learn, report, save, statistics  # noqa: E402
from training.scenes import pool as pool_module  # noqa: E402
from training.scenes.drafts import Drafts  # noqa: E402
from training.scenes.live import Live  # noqa: E402
from training.scenes.pool import Pool, draw_shard, pool_folder  # noqa: E402
from training.scenes.sampler import Sampler  # noqa: E402

SETTINGS = load_autoencoder_settings()
SMALL = replace(SETTINGS.network, width=16, encoder_blocks=(0, 1, 1, 1), decoder_blocks=(1, 1, 1, 1))
SHARD = 24


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("cache")
    write_art(folder, fake_world())
    return folder


@pytest.fixture
def pool(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    monkeypatch.setattr(pool_module, "SHARD", SHARD)
    monkeypatch.setattr(pool_module, "load_world", lambda _cache: fake_world())
    for number in range(2):
        draw_shard(cache, 5, number)
    return Pool(pool_folder(cache, 5))


def test_a_pool_is_drawn_once_and_gives_pictures_scenes_and_crops(pool: Pool, cache: Path) -> None:
    assert len(pool) == len(pool.scenes()) == 2 * SHARD
    before = pool.paths[0].stat().st_mtime_ns
    draw_shard(cache, 5, 0)
    assert pool.paths[0].stat().st_mtime_ns == before
    assert pool.pictures([0, 2 * SHARD - 1]).shape == (2, 3, 256, 256)
    crops = pool.crops(5, 96, Random(0))
    assert crops.shape == (5, 3, 96, 96)
    assert crops.dtype == torch.uint8


def test_no_pool_is_told_with_the_command_that_draws_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"training\.scenes\.pool"):
        Pool(tmp_path)


def test_live_scenes_are_new_at_every_call(cache: Path) -> None:
    live = Live(fake_world(), cache, "cpu", seed=1, keep=8, fresh=4, processes=1)
    before = live.ring.clone()
    crops = live.crops(3, 64, Random(0))
    assert crops.shape == (3, 3, 64, 64)
    changed = (live.ring != before).flatten(1).any(1)
    assert changed[:4].all()
    assert not changed[4:].any()
    live.drafts.close()


def test_drafts_come_in_the_same_order_from_any_number_of_processes() -> None:
    rows = []
    for processes in (1, 2):
        with Drafts(Sampler(fake_world()), 1, 3, processes) as drafts:
            rows.append([next(drafts)[0] for _ in range(3)])
    assert rows[0] == rows[1]
    assert len({str(scene) for scenes in rows[0] for scene in scenes}) == 9


def test_ssim_is_that_of_the_paper() -> None:
    """Against the formula over scipy's Gaussian filter."""
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (1, 3, 40, 40)).astype(np.uint8)
    second = np.clip(first.astype(int) + random.integers(-40, 40, first.shape), 0, 255).astype(np.uint8)

    def blur(x: np.ndarray) -> np.ndarray:
        return np.stack([gaussian_filter(c, 1.5, truncate=3.4) for c in x])[:, 5:-5, 5:-5]

    x, y = first[0] / 255, second[0] / 255
    mx, my = blur(x), blur(y)
    vx, vy, both = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    expected = (2 * mx * my + 1e-4) * (2 * both + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    found = ssim(torch.from_numpy(first), torch.from_numpy(second))
    assert float(found) == pytest.approx(float(expected.mean()), abs=1e-4)
    assert float(psnr_db(torch.from_numpy(first), torch.from_numpy(second))) == pytest.approx(
        -10 * np.log10(((x - y) ** 2).mean()), abs=1e-3
    )


def test_equal_pictures_have_no_structure_loss() -> None:
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    assert float(structure_loss(picture, picture)) == pytest.approx(0, abs=1e-4)
    assert float(structure_loss(picture, -picture)) > 0.5


def test_normalized_latents_are_balanced_and_decode_alike(pool: Pool) -> None:
    torch.manual_seed(0)
    model = build(SMALL)
    pictures = pool.pictures(list(range(16)))
    before, latents = round_trip(model, pictures).float(), encode(model, pictures)
    normalize(model, *statistics(latents))
    mean, deviation = statistics(encode(model, pictures))
    torch.testing.assert_close(mean, torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(deviation, torch.ones(4), atol=1e-3, rtol=0)
    # All but the border, where zeros stand for something else, and the squeeze of large values.
    inner = (round_trip(model, pictures).float() - before)[..., 16:-16, 16:-16]
    assert inner.abs().mean() < 0.1 * before.std()


def test_training_learns_resumes_and_saves_what_diffusers_opens(pool: Pool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    training = replace(SETTINGS.training, batch=4, crop_pixels=64, learning_rate=4e-3, ema=0.8)
    pictures = pool.pictures(list(range(8)))
    untrained = report(build(SMALL), pictures)["psnr_db"]
    model = learn(build(SMALL), pool, pictures[:2], training, SETTINGS.loss, tmp_path, 0.2, resume=False)
    trained = report(model, pictures)["psnr_db"]
    assert trained > untrained + 4
    rows = (tmp_path / "progress.csv").read_text().splitlines()
    assert rows[0] == "time,stage,psnr_db,ssim"
    assert [row.split(",")[1] for row in rows[1:]] == ["1", "2"]
    assert (tmp_path / "sheet.png").is_file()
    # All minutes are spent: the same network comes back from the checkpoints.
    again = learn(build(SMALL), pool, pictures[:2], training, SETTINGS.loss, tmp_path, 0.2, resume=True)
    torch.set_num_threads(threads)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    save(model, tmp_path / "vae", pictures)
    loaded = AutoencoderTiny.from_pretrained(tmp_path / "vae")
    latents = loaded.encode(to_unit(pictures)).latents * loaded.config.scaling_factor
    assert float(latents.std()) == pytest.approx(1, abs=0.02)
    assert float(latents.mean()) == pytest.approx(0, abs=0.02)
    assert report(loaded.to(memory_format=torch.channels_last), pictures)["psnr_db"] == pytest.approx(trained, abs=1)


def test_roughness_is_what_a_blur_takes_away() -> None:
    torch.manual_seed(0)
    assert float(roughness(torch.randn(8, 1, 64, 64))) == pytest.approx(8 / 9, abs=0.02)
    wave = torch.sin(torch.arange(64) / 10).expand(1, 1, 64, 64)
    assert float(roughness(wave)) < 0.001
    assert float(roughness(torch.ones(1, 1, 8, 8))) == 0


def test_smoothing_leaves_the_colours_and_takes_the_noise(pool: Pool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    training = replace(SETTINGS.training, batch=4, crop_pixels=64, ema=0.8)
    pictures = pool.pictures(list(range(8)))
    model = learn(build(SMALL), pool, pictures[:2], training, SETTINGS.loss, tmp_path, 0.1, resume=False)
    before = encode(model, pictures)
    smoothing = replace(SETTINGS.smoothing, rough=300.0, held=3.0, noise=0.0)
    smoother = smooth.learn(model, pool, pictures[:2], training, SETTINGS.loss, smoothing, tmp_path, 0.1, resume=False)
    torch.set_num_threads(threads)
    after = encode(smoother, pictures)
    assert float(rough_power(after[:, 3:])) < 0.5 * float(rough_power(before[:, 3:]))
    assert (after[:, :3] - before[:, :3]).abs().mean() < 0.2 * before[:, :3].std()
    assert [row.split(",")[1] for row in (tmp_path / "progress.csv").read_text().splitlines()][-1] == "3"
