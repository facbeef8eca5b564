"""The front door: what a model promises its caller, on a small random-weight model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nutshell
from nutshell.errors import NotEnoughMemory, UnsupportedModel, UsageError, WeightsMismatch
from nutshell.machine import machine_with
from nutshell.networks.ops import Network
from nutshell.pipeline import Progress, Request
from nutshell.pipeline import model as model_module
from tests.pipeline.conftest import build_pipeline

pytestmark = pytest.mark.reference

SIZE = {"width": 64, "height": 64}
MB = 1_000_000


@pytest.fixture(scope="module")
def model(model_folder: Path) -> Any:
    with nutshell.load(model_folder, precision="f32") as opened:
        yield opened


def pixels(picture: Any) -> np.ndarray:
    return np.asarray(picture.image)


def test_a_seed_is_a_picture(model: Any) -> None:
    first, same, other = (pixels(model.generate("a cat", steps=2, seed=seed, **SIZE)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_an_open_seed_is_drawn_and_told(model: Any) -> None:
    drawn = model.generate("a cat", steps=1, **SIZE)
    again = model.generate("a cat", steps=1, seed=drawn.seed, **SIZE)
    np.testing.assert_array_equal(pixels(drawn), pixels(again))
    assert drawn.parameters["seed"] == drawn.seed


def test_count_continues_the_seeds(model: Any) -> None:
    many = list(model.draw(Request("a cat", steps=1, seed=10, count=3, **SIZE)))
    assert [picture.seed for picture in many] == [10, 11, 12]
    np.testing.assert_array_equal(pixels(many[2]), pixels(model.generate("a cat", steps=1, seed=12, **SIZE)))


def test_one_stage_at_a_time_draws_the_same(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nutshell.load(model_folder, precision="f32", engine="openvino") as whole:
        expected = [pixels(picture) for picture in whole.draw(Request("a cat", steps=2, seed=3, count=2, **SIZE))]
    with nutshell.load(model_folder, precision="f32", engine="openvino") as lean:
        order = lean._order(Request("a cat", **SIZE))
        # One byte too little for all stages together.
        cores = model_module.probe().cores
        monkeypatch.setattr(model_module, "probe", lambda **_: machine_with(usable_bytes=100_000 * MB, cores=cores))
        together = lean.plan(order)
        assert not together.staged
        lean._planner = replace(lean._planner, max_memory=together.need_bytes - 1)
        assert lean.plan(order).staged
        staged = [pixels(picture) for picture in lean.draw(Request("a cat", steps=2, seed=3, count=2, **SIZE))]
        assert not lean._kit.stages._kept
    np.testing.assert_array_equal(expected, staged)


def test_too_little_memory_is_said_before_anything_is_loaded(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "probe", lambda **_: machine_with(usable_bytes=50 * MB, cores=1))
    with pytest.raises(NotEnoughMemory):
        model.generate("a cat", **SIZE)


def test_progress_counts_and_previews(model: Any) -> None:
    told: list[Progress] = []
    list(model.draw(Request("a cat", steps=3, seed=1, count=2, **SIZE), told.append))
    assert [(each.picture, each.step) for each in told] == [(p, s) for p in (1, 2) for s in (1, 2, 3)]
    assert all((each.total, each.pictures) == (3, 2) for each in told)
    assert [each.seconds for each in told] == sorted(each.seconds for each in told)
    assert told[0].seconds_left > 0
    assert told[-1].seconds_left == 0
    preview = told[-1].preview()
    assert (preview.mode, preview.size) == ("RGB", (256, 256))


def test_a_tiny_decoder_previews_at_full_size(model_folder: Path, tmp_path: Path) -> None:
    build_pipeline(tmp_path / "tiny", tiny_vae=True)
    seen: list[Image.Image] = []
    with nutshell.load(model_folder, precision="f32", preview_vae=tmp_path / "tiny") as model:
        model.generate("a cat", steps=2, on_step=lambda told: seen.append(told.preview()), **SIZE)
    assert [image.size for image in seen] == [(64, 64)] * 2
    with pytest.raises(UsageError, match="full autoencoder"):
        nutshell.load(model_folder, preview_vae=model_folder)


def test_an_exception_in_on_step_ends_the_run_cleanly(model: Any) -> None:
    calls: list[int] = []

    def stop(told: Progress) -> None:
        calls.append(told.step)
        if told.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.generate("a cat", steps=10, seed=1, on_step=stop, **SIZE)
    assert calls == [1, 2]
    # The model is as good as before.
    assert model.generate("a cat", steps=1, seed=1, **SIZE).seed == 1


@pytest.mark.parametrize("size", [(8, 8), (72, 40), (56, 104)])
def test_any_multiple_of_eight(size: tuple[int, int], model: Any) -> None:
    picture = model.generate("a cat", steps=1, width=size[0], height=size[1])
    assert picture.image.size == size


@pytest.mark.parametrize(
    "prompt", ["", " ", "a " * 200, "戴墨镜的猫", "((((", "\\", "\x00", "🐱" * 90, "a BREAK b", "(x:1e9)"]
)
def test_no_prompt_crashes(prompt: str, model: Any) -> None:
    assert model.generate(prompt, negative_prompt="b", steps=1, seed=1, **SIZE).image.size == (64, 64)


def test_a_picture_keeps_its_shape_when_redrawn(model: Any) -> None:
    wide = Image.new("RGBA", (100, 51), (255, 0, 0, 128))
    assert model.generate("a cat", image=wide, steps=2).image.size == (88, 48)


def test_weights_change_the_picture(model: Any) -> None:
    plain, same, heavier = (
        pixels(model.generate(prompt, steps=2, seed=1, **SIZE)) for prompt in ("a cat", "a (cat:1.0)", "a (cat:1.5)")
    )
    np.testing.assert_array_equal(plain, same)
    assert (plain != heavier).any()


def test_an_embedding_adds_a_word(model_folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    vectors = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    save_file({"emb_params": vectors}, tmp_path / "sketchy.safetensors")
    save_file({"emb_params": vectors[:, :5].copy()}, tmp_path / "narrow.safetensors")
    with nutshell.load(model_folder, precision="f32") as plain:
        without = pixels(plain.generate("a sketchy cat", steps=2, seed=1, **SIZE))
    with nutshell.load(model_folder, precision="f32", embeddings=[tmp_path / "sketchy.safetensors"]) as taught:
        told = pixels(taught.generate("a sketchy cat", steps=2, seed=1, **SIZE))
    assert (without != told).any()
    with pytest.raises(UnsupportedModel, match="width 5"):
        nutshell.load(model_folder, embeddings=[tmp_path / "narrow.safetensors"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 65},
        {"steps": 0},
        {"guidance": float("nan")},
        {"strength": 2.0},
        {"mask": Image.new("L", (8, 8))},
        {"sampler": "magic"},
        {"schedule": "magic"},
        {"colour": "red"},
        {"clip_skip": 3},
        {"guidance_interval": (0.9, 0.1)},
        {"seed": 2**65},
    ],
)
def test_what_cannot_be_done_is_said(wrong: dict[str, Any], model: Any) -> None:
    with pytest.raises(UsageError):
        model.generate("a cat", **wrong)


def test_networks_can_be_rewritten(model_folder: Path) -> None:
    seen: list[str] = []

    def whitened(network: Network) -> Network:
        seen.append(network.part)
        if network.part != "vae_decoder":
            return network
        return replace(network, run=lambda ops, *given: ops.affine(network.run(ops, *given), 0.0, 1.0))

    with nutshell.load(model_folder, precision="f32", rewrite=whitened) as white:
        first, second = (white.generate("a cat", steps=1, seed=seed, **SIZE) for seed in (1, 2))
    # In no order: they are compiled at once.
    assert sorted(seen) == ["text_encoder", "unet", "vae_decoder"]
    assert (pixels(first) == 255).all()
    assert (pixels(second) == 255).all()


def test_a_closed_model_says_so(model_folder: Path) -> None:
    model = nutshell.load(model_folder)
    model.close()
    model.close()
    with pytest.raises(UsageError, match="closed"):
        model.generate("a cat", **SIZE)


def test_parts_of_different_models_are_refused(model_folder: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "mixed"
    build_pipeline(other, cross_attention_dim=48)
    with pytest.raises(UnsupportedModel, match="width 48"):
        nutshell.load(other)
    shutil.copy(model_folder / "unet" / "config.json", other / "unet" / "config.json")
    with pytest.raises(WeightsMismatch):
        nutshell.load(other)
