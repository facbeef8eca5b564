"""The built-in models: real weights, the same in diffusers, and pictures that show what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nutshell
from nutshell.catalogue import cards
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.pipeline import denoise
from nutshell.pipeline.parameters import read_parameters
from nutshell.settings import DEFAULT_MODEL
from nutshell.store import builtin_folder, find
from tests.pipeline.conftest import psnr

MOST_BYTES = 64_000_000
# Card -> what the issue that asked for it says: steps, guidance, passes of the denoiser for one picture.
NAMES = {"artist": (20, 2.0, 40), "artist-turbo": (4, 1.0, 4)}


@pytest.fixture(scope="module", params=list(NAMES))
def artist(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each built-in model in turn, in float32."""
    with nutshell.load(request.param, precision="f32") as model:
        yield model


def corners(picture: Any) -> np.ndarray:
    """Mean colour of the four corners, 0 to 255."""
    pixels = np.asarray(picture.image, np.float32)
    edge = 24
    cells = [
        pixels[rows, columns]
        for rows in (slice(edge), slice(-edge, None))
        for columns in (slice(edge), slice(-edge, None))
    ]
    return np.asarray(np.mean([cell.mean(axis=(0, 1)) for cell in cells], axis=0))


def centre(picture: Any) -> np.ndarray:
    return np.asarray(picture.image, np.float32)[64:192, 64:192]


def test_they_are_small_and_share_what_they_can() -> None:
    assert sum(file.stat().st_size for file in builtin_folder().rglob("*") if file.is_file()) <= MOST_BYTES
    assert {path.name for path in (builtin_folder() / "artist-turbo").iterdir()} == {
        "README.md",
        "calibration.json",
        "unet",
    }


def test_every_card_is_tested() -> None:
    assert set(NAMES) == {name for name, card in cards().items() if card.folder}
    assert DEFAULT_MODEL == "artist-turbo"


def test_passes_of_the_denoiser(artist: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the card says and no more: each pass writes its timestep down once."""
    steps, guidance, passes = NAMES[artist.facts.name]
    assert (artist.facts.defaults.steps, artist.facts.defaults.guidance) == (steps, guidance)
    taken = []
    features = denoise.timestep_features

    def counted(*given: Any) -> Any:
        taken.append(given)
        return features(*given)

    monkeypatch.setattr(denoise, "timestep_features", counted)
    artist.generate("a cat", seed=1)
    assert len(taken) == passes


def test_backgrounds_are_as_asked(artist: Any) -> None:
    """Red, green and blue lie where they should among the channels; nothing said is white."""
    for words, strongest in (("red", 0), ("green", 1), ("blue", 2)):
        colour = corners(artist.generate(f"an apple on a {words} background", seed=3))
        assert int(colour.argmax()) == strongest, (words, colour)
        assert colour.max() - colour.min() > 40
    assert corners(artist.generate("an apple on a white background", seed=3)).min() > 225


def test_objects_differ_and_stay_what_they_are(artist: Any) -> None:
    """Two seeds of one word look more alike than two words of one seed."""
    words = ("a cat on a white background", "a red apple on a white background", "a car on a white background")
    drawn = {word: [centre(artist.generate(word, seed=seed)) for seed in (1, 2)] for word in words}
    within = [np.abs(first - second).mean() for first, second in drawn.values()]
    between = [np.abs(drawn[a][0] - drawn[b][0]).mean() for a, b in (words[:2], words[1:], words[::2])]
    assert max(within) < min(between)


def test_both_languages_draw_the_same_thing(artist: Any) -> None:
    words = ("a cat on a white background", "白色背景上的猫", "a car on a white background")
    english, chinese, other = (centre(artist.generate(word, seed=4)) for word in words)
    assert np.abs(english - chinese).mean() < np.abs(english - other).mean()


@pytest.mark.parametrize("prompt", ["", "zyxwv qqq", "a " * 300, "🐱", "\n", "(((", "戴墨镜的猫"])
def test_any_prompt_gives_a_picture(prompt: str, artist: Any) -> None:
    picture = artist.generate(prompt, seed=5, steps=4)
    assert picture.image.size == (256, 256)
    assert np.asarray(picture.image).std() > 3


def test_half_precision_shows_the_same_picture(artist: Any) -> None:
    whole = artist.generate("a cat wearing sunglasses", seed=7)
    with nutshell.load(artist.facts.name) as fast:
        quick = fast.generate("a cat wearing sunglasses", seed=7)
    # bf16 where the processor has it (about 30 dB), else the same picture.
    assert psnr(quick.image, whole.image) > 20


def test_previews_show_the_colours_of_the_picture(artist: Any) -> None:
    """The card's rows fit the autoencoder: the last preview is the picture, cell by cell."""
    assert isinstance(artist.facts.vae, AutoencoderTinyConfig)
    seen: list[Any] = []
    picture = artist.generate("an apple on a blue background", seed=3, on_step=lambda p: seen.append(p.preview()))
    small = [np.asarray(image.resize((32, 32)), np.float32) for image in (seen[-1], picture.image)]
    assert np.abs(small[0] - small[1]).mean() < 20


@pytest.mark.reference
def test_diffusers_draws_the_same_picture(artist: Any) -> None:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    found, defaults = find(artist.facts.name), artist.facts.defaults
    unet = diffusers.UNet2DConditionModel.from_pretrained(found.path / "unet", torch_dtype=torch.float32)
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(
        found.base or found.path, unet=unet, torch_dtype=torch.float32, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    for prompt in ("a cat wearing sunglasses", "蓝色背景上的苹果"):
        theirs = pipe(
            prompt,
            height=defaults.height,
            width=defaults.width,
            num_inference_steps=defaults.steps,
            guidance_scale=defaults.guidance,
            generator=torch.Generator("cpu").manual_seed(11),
        ).images[0]
        assert psnr(artist.generate(prompt, seed=11).image, theirs) >= 50


def test_a_picture_says_which_model_drew_it(artist: Any, tmp_path: Path) -> None:
    found = read_parameters(artist.generate("a cat", seed=1, steps=2).save(tmp_path / "cat.png"))
    assert (found["prompt"], found["seed"], found["model"]) == ("a cat", 1, artist.facts.name)
