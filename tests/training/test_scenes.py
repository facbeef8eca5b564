"""Scenes and captions of the artist recipe, on synthetic sprites: no art, no network, no PyTorch."""

from __future__ import annotations

from random import Random

import pytest

pytest.importorskip("PIL")
pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
from PIL import Image

from training.artist.captions import add_names, caption
from training.artist.scenes import Scene, compose, every_scene, is_held_out, load_world
from training.artist.settings import load_settings

SETTINGS = load_settings().scene
WORLD = load_world()


def flat_sprite(code: str) -> Image.Image:
    """A square with transparent margins; its colour depends on the code."""
    sprite = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    sprite.paste((10, 20, len(code) * 20, 255), (32, 32, 224, 224))
    return sprite


def test_every_scene_is_listed_once_and_in_a_fixed_order() -> None:
    scenes = every_scene(WORLD, SETTINGS)
    assert len(scenes) == len(set(scenes))
    assert scenes == every_scene(WORLD, SETTINGS)
    assert Scene("cat", "sunglasses", "blue") in scenes
    assert Scene("apple", "sunglasses", "blue") not in scenes


def test_about_one_in_twenty_is_held_out_and_never_a_white_one() -> None:
    held_out = [scene for scene in every_scene(WORLD, SETTINGS) if is_held_out(scene, SETTINGS)]
    assert 0.03 < len(held_out) / len(every_scene(WORLD, SETTINGS)) < 0.07
    assert all(scene.background != "white" for scene in held_out)
    assert Scene("cat", "", "black") in held_out


def test_a_picture_is_a_function_of_its_scene() -> None:
    scene = Scene("dog", "", "red")
    picture = compose(scene, WORLD, SETTINGS, flat_sprite)
    assert picture.size == (256, 256)
    assert picture.tobytes() == compose(scene, WORLD, SETTINGS, flat_sprite).tobytes()
    assert picture.getpixel((0, 0)) == SETTINGS.backgrounds["red"]
    assert picture.getpixel((128, 128)) == (10, 20, len(WORLD.subjects["dog"].code) * 20)


def test_glasses_lie_over_the_eyes_and_leave_the_chin_alone() -> None:
    bare = compose(Scene("cat", "", "white"), WORLD, SETTINGS, flat_sprite)
    worn = compose(Scene("cat", "sunglasses", "white"), WORLD, SETTINGS, flat_sprite)
    x, y, _ = WORLD.subjects["cat"].anchors["eyes"]
    scale, margin = SETTINGS.sprite_pixels / 256, (256 - SETTINGS.sprite_pixels) / 2
    eyes = (round(margin + x * scale), round(margin + y * scale))
    assert worn.getpixel(eyes) != bare.getpixel(eyes)
    assert worn.getpixel((128, 40)) == bare.getpixel((128, 40))


def test_anchors_lie_inside_the_sprite() -> None:
    for subject in WORLD.subjects.values():
        for x, y, width in subject.anchors.values():
            assert width / 2 < x < 256 - width / 2, subject.key
            assert 0 < y < 256, subject.key


@pytest.mark.parametrize("background", list(SETTINGS.backgrounds))
def test_a_caption_names_every_coloured_background(background: str) -> None:
    random = Random(1)
    for _ in range(50):
        text = caption(Scene("cat", "sunglasses", background), WORLD, random)
        named = background in text or any(name in text for name in WORLD.colours[background])
        assert named or background == "white"
        subject = WORLD.subjects["cat"]
        assert any(name in text for name in subject.english + subject.chinese)
        wear = WORLD.wearables["sunglasses"]
        assert any(name in text for name in wear.english + wear.chinese)


def test_captions_repeat_with_the_seed_and_come_in_both_languages() -> None:
    scene = Scene("apple", "", "white")
    texts = [caption(scene, WORLD, Random(seed)) for seed in range(100)]
    assert texts == [caption(scene, WORLD, Random(seed)) for seed in range(100)]
    assert {text.isascii() for text in texts} == {True, False}
    assert "an apple" in texts


def test_cldr_names_are_added_behind_the_curated_ones() -> None:
    world = add_names(WORLD, {"1f431": "cat face"}, {"1f431": "猫"})
    assert world.subjects["cat"].english[0] == "cat"
    assert world.subjects["cat"].english[-1] == "cat face"
    assert world.subjects["cat"].chinese == WORLD.subjects["cat"].chinese
