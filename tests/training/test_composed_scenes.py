"""Scenes by lot and their pictures, on art of our own: true to their word, nothing clipped, nothing held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")

from tests.training.fake_art import fake_world, write_art  # noqa: E402
from training.scenes.batch import BatchStudio  # noqa: E402
from training.scenes.blueprint import Drafter  # noqa: E402
from training.scenes.colours import recolour  # noqa: E402
from training.scenes.geometry import relation_holds, side_of, size_name  # noqa: E402
from training.scenes.grounds import draw_ground  # noqa: E402
from training.scenes.held_out import choose, combinations_of, load_held_out  # noqa: E402
from training.scenes.palette import PLAIN  # noqa: E402
from training.scenes.sampler import Sampler  # noqa: E402
from training.scenes.scene import BACKGROUNDS, RELATIONS, STYLES, Background, Item, Scene  # noqa: E402
from training.scenes.settings import load_scene_settings  # noqa: E402
from training.scenes.studio import Studio  # noqa: E402

WORLD = fake_world()
SETTINGS = load_scene_settings()
WHITE = Background("plain", ("white",))
PLACER = Sampler(WORLD, held_out=frozenset()).placer


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    sampler, random = Sampler(WORLD, held_out=frozenset()), Random(1)
    return [sampler.scene(random) for _ in range(600)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("cache")
    write_art(folder, WORLD)
    return folder


def test_the_lot_reaches_everything(scenes: list[Scene]) -> None:
    assert {scene.background.kind for scene in scenes} == set(BACKGROUNDS)
    assert {scene.style for scene in scenes} == set(STYLES)
    assert {scene.relation for scene in scenes} == {"", *RELATIONS}
    assert {scene.count for scene in scenes} == {1, 2, 3, 4}
    items = [item for scene in scenes for item in scene.items]
    assert {item.size for item in items} == {"tiny", "small", "medium", "big"}
    assert {item.colour for item in items} == {"", "blue", "green"}
    assert any(item.holding for item in items)
    worn = {key for item in items for key in item.wearing}
    assert worn == {
        key for key, piece in WORLD.wearables.items() if any(piece.anchor in t.anchors for t in WORLD.things.values())
    }


def test_nothing_is_clipped(scenes: list[Scene]) -> None:
    margin = SETTINGS.margin - 1e-6
    for scene in scenes:
        for item in scene.items:
            left, top, right, bottom = PLACER.bounds(item, dressed=True)
            assert min(left, top) >= margin
            assert max(right, bottom) <= 1 - margin


def test_what_is_said_is_true(scenes: list[Scene]) -> None:
    for scene in scenes:
        boxes = [PLACER.bounds(item, dressed=False) for item in scene.items]
        for item, box in zip(scene.items, boxes, strict=True):
            if item.size in ("tiny", "small"):
                # A tilted thing's box is a little larger than the thing.
                assert size_name(item.side, SETTINGS.limits) == item.size or side_of(box) < SETTINGS.limits[item.size]
        if scene.relation:
            other = 1 - scene.subject
            assert relation_holds(scene.relation, boxes[scene.subject], boxes[other], scene.subject > other)


def test_the_same_seed_gives_the_same_scenes(scenes: list[Scene]) -> None:
    sampler, random = Sampler(WORLD, held_out=frozenset()), Random(1)
    assert [sampler.scene(random) for _ in range(50)] == scenes[:50]


def test_held_out_combinations_never_appear(scenes: list[Scene]) -> None:
    seen = sorted(set().union(*map(combinations_of, scenes)))
    held_out = frozenset(seen[::7])
    assert held_out
    sampler, random = Sampler(WORLD, held_out=held_out), Random(2)
    for _ in range(600):
        assert not combinations_of(sampler.scene(random)) & held_out


def test_the_kept_list_holds_every_kind_of_combination() -> None:
    kept = load_held_out()
    assert len(kept) > 300
    for mark in (" + ", " & ", " @ "):
        assert sum(mark in line for line in kept) > 30
    assert choose(WORLD, Random(3)) == choose(WORLD, Random(3))


@pytest.mark.parametrize(
    ("relation", "first", "second"),
    [
        ("left of", (0.1, 0.4, 0.3, 0.6), (0.6, 0.4, 0.9, 0.7)),
        ("above", (0.4, 0.1, 0.6, 0.3), (0.4, 0.6, 0.7, 0.9)),
        ("next to", (0.1, 0.4, 0.4, 0.7), (0.5, 0.4, 0.9, 0.8)),
        ("on", (0.4, 0.3, 0.6, 0.55), (0.3, 0.5, 0.7, 0.9)),
        ("in front of", (0.3, 0.5, 0.6, 0.9), (0.2, 0.1, 0.8, 0.8)),
    ],
)
def test_relations_read_from_boxes(relation: str, first: tuple[float, ...], second: tuple[float, ...]) -> None:
    assert relation_holds(relation, first, second)
    opposite = {"left of": "right of", "above": "below"}.get(relation)
    if opposite:
        assert relation_holds(opposite, second, first)
        assert not relation_holds(relation, second, first)
    elif relation != "next to":
        assert not relation_holds(relation, second, first, first_on_top=False)


def test_an_unknown_relation_is_refused() -> None:
    with pytest.raises(ValueError, match="between"):
        relation_holds("between", (0, 0, 1, 1), (0, 0, 1, 1))


def test_both_ways_of_drawing_agree(scenes: list[Scene], cache: Path) -> None:
    some = scenes[:60]
    one_by_one = Studio(WORLD, cache).pictures(some)
    at_once = BatchStudio(WORLD, cache, "cpu").draw(Drafter(WORLD).draft(some)).permute(0, 2, 3, 1).numpy()
    error = ((one_by_one.astype(float) - at_once) ** 2).mean(axis=(1, 2, 3))
    assert error.max() < 255**2 * 10**-3.5  # 35 dB
    assert np.median(error) < 255**2 * 10**-4.5


def test_a_thing_lies_where_its_box_says(cache: Path) -> None:
    studio = Studio(WORLD, cache)
    scene = Scene((Item("car", 0.4, 0.6, 0.5, angle=8.0, mirrored=True),), Background("sky"))
    with_it = studio.picture(scene).astype(int)
    ground = draw_ground(scene.background, 256).astype(int)
    rows, columns = np.nonzero(np.abs(with_it - ground).sum(2) > 60)
    left, top, right, bottom = (256 * side for side in studio.boxes(scene)[0])
    # An ellipse does not reach its turned box's corners, but its sides nearly.
    assert columns.min() == pytest.approx(left, abs=14)
    assert columns.max() == pytest.approx(right, abs=14)
    assert rows.min() == pytest.approx(top, abs=14)
    assert rows.max() == pytest.approx(bottom, abs=14)
    assert columns.min() >= left - 1
    assert columns.max() <= right + 1


def test_clothes_move_with_their_wearer(cache: Path) -> None:
    studio = Studio(WORLD, cache)
    bare = Item("cat", 0.5, 0.55, 0.5)
    dressed = replace(bare, wearing=("sunglasses",))
    for change in ({}, {"mirrored": True}, {"angle": 20.0}, {"x": 0.4, "side": 0.3}):
        without, with_it = (
            studio.picture(Scene((replace(item, **change),), WHITE)).astype(int) for item in (bare, dressed)
        )
        rows, columns = np.nonzero(np.abs(without - with_it).sum(2) > 30)
        box = studio.boxes(Scene((replace(bare, **change),), WHITE))[0]
        assert len(rows) > 100
        assert box[0] - 0.05 < columns.mean() / 256 < box[2] + 0.05
        assert box[1] < rows.mean() / 256 < (box[1] + box[3]) / 2 + 0.08  # eyes are above the middle, or near it


@pytest.mark.parametrize(("colour", "strongest"), [("red", 0), ("green", 1), ("blue", 2)])
def test_recolouring_shifts_the_own_hue_only(colour: str, strongest: int) -> None:
    red, leaf, grey = (0.8, 0.1, 0.15), (0.2, 0.7, 0.2), (0.5, 0.5, 0.5)
    sprite = torch.tensor([red, leaf, grey]).T.reshape(1, 3, 1, 3)
    sprite = torch.cat([sprite, torch.ones(1, 1, 1, 3)], dim=1)
    changed = recolour(sprite, torch.tensor([356.0]), colour)
    assert changed[0, :3, 0, 0].argmax() == strongest
    torch.testing.assert_close(changed[0, :, 0, 1:], sprite[0, :, 0, 1:], atol=0.02, rtol=0)


def test_shaded_reds_all_become_blue() -> None:
    shades = torch.rand(1, 1, 1, 50) * 0.6 + 0.4
    sprite = torch.cat([shades, 0.15 * shades, 0.2 * shades, torch.ones_like(shades)], dim=1)
    changed = recolour(sprite, torch.tensor([356.0]), "blue")
    assert (changed[0, 2] > changed[0, :2].amax(0)).all()
    brightness = torch.stack([sprite[0, 0, 0], changed[0, 2, 0]])
    assert torch.corrcoef(brightness)[0, 1] > 0.99


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds(kind: str) -> None:
    colours = {"plain": ("red",), "gradient": ("red", "blue")}.get(kind, ())
    first, again, other = (draw_ground(Background(kind, colours, variant), 64) for variant in (0, 0, 1))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    if kind == "plain":
        assert np.abs(first.reshape(-1, 3).mean(0) - PLAIN["red"]).max() <= 11


def test_styles(cache: Path) -> None:
    studio = Studio(WORLD, cache)
    drawn = {
        s: studio.picture(Scene((Item("apple", 0.5, 0.5, 0.4),), Background("plain", ("blue",)), style=s))
        for s in STYLES
    }
    grey = drawn["black and white"]
    assert (grey[..., 0] == grey[..., 2]).all()
    blocks = drawn["pixel art"].reshape(32, 8, 32, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    white = (drawn["sticker"] == 255).all(2).sum()
    assert white > 500 > (drawn[""] == 255).all(2).sum()
