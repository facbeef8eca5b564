"""The built-in model: real weights, the same in diffusers, and pictures that show what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nutshell
from nutshell.store import builtin_folder
from tests.pipeline.conftest import psnr

FOLDER = builtin_folder() / "artist"
MOST_BYTES = 40_000_000


@pytest.fixture(scope="module")
def artist() -> Any:
    with nutshell.load("artist", precision="f32") as model:
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


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) <= MOST_BYTES


def test_backgrounds_are_as_asked(artist: Any) -> None:
    """Red, green and blue lie where they should among the channels; nothing said is white."""
    for words, strongest in (("red", 0), ("green", 1), ("blue", 2)):
        colour = corners(artist.generate(f"an apple on a {words} background", seed=3))
        assert int(colour.argmax()) == strongest, (words, colour)
        assert colour.max() - colour.min() > 40
    assert corners(artist.generate("an apple", seed=3)).min() > 225


def test_objects_differ_and_stay_what_they_are(artist: Any) -> None:
    """Two seeds of one word look more alike than two words of one seed."""
    words = ("a cat", "a red apple", "a car")
    drawn = {word: [centre(artist.generate(word, seed=seed)) for seed in (1, 2)] for word in words}
    within = [np.abs(first - second).mean() for first, second in drawn.values()]
    between = [np.abs(drawn[a][0] - drawn[b][0]).mean() for a, b in (words[:2], words[1:], words[::2])]
    assert max(within) < min(between)


def test_both_languages_draw_the_same_thing(artist: Any) -> None:
    english, chinese, other = (centre(artist.generate(word, seed=4)) for word in ("a cat", "猫", "a car"))
    assert np.abs(english - chinese).mean() < np.abs(english - other).mean()


@pytest.mark.parametrize("prompt", ["", "zyxwv qqq", "a " * 300, "🐱", "\n", "(((", "戴墨镜的猫"])
def test_any_prompt_gives_a_picture(prompt: str, artist: Any) -> None:
    picture = artist.generate(prompt, seed=5, steps=4)
    assert picture.image.size == (256, 256)
    assert np.asarray(picture.image).std() > 3


def test_half_precision_shows_the_same_picture(artist: Any) -> None:
    whole = artist.generate("a cat wearing sunglasses", seed=7)
    with nutshell.load("artist") as fast:
        quick = fast.generate("a cat wearing sunglasses", seed=7)
    # bf16 where the processor has it (about 30 dB), else the same picture.
    assert psnr(quick.image, whole.image) > 20


@pytest.mark.reference
def test_diffusers_draws_the_same_picture(artist: Any) -> None:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    facts = artist.facts.defaults
    for prompt in ("a cat wearing sunglasses", "蓝色背景上的苹果"):
        theirs = pipe(
            prompt,
            num_inference_steps=facts.steps,
            guidance_scale=facts.guidance,
            generator=torch.Generator("cpu").manual_seed(11),
        ).images[0]
        ours = artist.generate(prompt, seed=11, sampler="ddim", spacing=pipe.scheduler.config.timestep_spacing)
        assert psnr(ours.image, theirs) >= 50


def test_it_is_inspected_like_any_other(tmp_path: Path) -> None:
    picture = nutshell.load("artist").generate("a cat", seed=1, steps=2)
    path = picture.save(tmp_path / "cat.png")
    from nutshell.pipeline.parameters import read_parameters

    found = read_parameters(path)
    assert (found["prompt"], found["seed"], found["model"]) == ("a cat", 1, "artist")
