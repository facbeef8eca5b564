"""Captions of composed scenes: true, complete, well formed, varied. A small world of dataclasses, no art."""

from __future__ import annotations

import re
from random import Random

import pytest

pytest.importorskip("numpy")
pytest.importorskip("PIL")
pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
from training.scenes.captions import LANGUAGES, caption, plain_caption
from training.scenes.names import load_grammar
from training.scenes.scene import BACKGROUNDS, COLOURS, RELATIONS, SIZES, STYLES, Background, Item, Scene
from training.scenes.world import Thing, Wearable, World

GRAMMAR = load_grammar()
ZH_COLOURS = dict(zip(COLOURS, ["红", "橙", "黄", "绿", "蓝", "紫", "粉", "棕", "黑", "白", "灰"], strict=True))


def thing(key: str, english: str, chinese: str, measure: str, group: str = "object", colour: str = "") -> Thing:
    """A thing from comma-separated names."""
    nouns = tuple(GRAMMAR.noun(name) for name in english.split(", "))
    names = tuple(chinese.split(", "))
    recolours = tuple(name for name in ("red", "orange", "blue", "green") if name != colour)
    return Thing(key, key, nouns, names, measure, group, colour, recolours)


THINGS = (
    thing("cat", "cat, kitty, kitten", "猫, 小猫, 猫咪", "只", "animal", "orange"),
    thing("apple", "apple", "苹果", "个", "food", "red"),
    thing("owl", "owl", "猫头鹰", "只", "animal"),
    thing("grapes", "grapes, bunch of grapes", "葡萄", "串", "food"),
    thing("scissors", "scissors, pair of scissors", "剪刀", "把"),
    thing("man", "man with red hair", "红发男人", "个", "person"),
    thing("car", "car, automobile, red car", "汽车, 小汽车", "辆", "vehicle", "red"),
    thing("tears", "face with tears of joy", "笑哭的脸", "个", "face"),
    thing("unicorn", "unicorn", "独角兽", "只", "animal"),
    thing("balloon", "balloon", "气球", "个"),
)
WEARABLES = (
    Wearable("sunglasses", "", "eyes", (GRAMMAR.noun("sunglasses"),), ("墨镜",)),
    Wearable("crown", "", "head", (GRAMMAR.noun("crown"), GRAMMAR.noun("golden crown")), ("皇冠",)),
    Wearable("scarf", "", "neck", (GRAMMAR.noun("scarf"),), ("围巾",)),
)
WORLD = World(
    things={one.key: one for one in THINGS},
    wearables={one.key: one for one in WEARABLES},
    holdables=("balloon", "apple"),
    colours={name: {"en": (name,), "zh": (f"{ZH_COLOURS[name]}色", ZH_COLOURS[name])} for name in COLOURS},
    grounds={kind: {"en": (kind,), "zh": (kind,)} for kind in BACKGROUNDS},
)


def an_item(random: Random, key: str = "") -> Item:
    """An item with everything by lot."""
    key = key or random.choice(list(WORLD.things))
    worn = random.sample(list(WORLD.wearables), random.choice((0, 0, 1, 2)))
    return Item(
        key,
        0.5,
        0.5,
        0.4,
        size=random.choice(SIZES),
        colour=random.choice(("", *WORLD.things[key].recolours)),
        wearing=tuple(worn),
        holding=random.choice(("", "", *(held for held in WORLD.holdables if held != key))),
    )


def a_scene(random: Random) -> Scene:
    """A scene of any shape."""
    kind = random.choice(BACKGROUNDS)
    background = Background(kind, tuple(random.sample(COLOURS, {"plain": 1, "gradient": 2}.get(kind, 0))))
    style = random.choice(("", "", "", *STYLES))
    shape = random.choice(("one", "count", "pair", "pair", "three"))
    if shape == "one":
        return Scene((an_item(random),), background, style=style)
    if shape == "count":
        return Scene((an_item(random),) * random.randint(2, 4), background, style=style)
    keys = random.sample(list(WORLD.things), 2 if shape == "pair" else 3)
    items = tuple(an_item(random, key) for key in keys)
    if shape == "pair" and random.random() < 0.8:
        return Scene(items, background, random.choice(RELATIONS), random.randrange(2), style)
    return Scene(items, background, style=style)


SCENES = [a_scene(Random(seed)) for seed in range(600)]


def said(scene: Scene, language: str, seed: int) -> list[str]:
    """Some captions of one scene and the plain one."""
    random = Random(seed)
    return [*(caption(scene, WORLD, random, language, 0.0) for _ in range(3)), plain_caption(scene, WORLD, language)]


def names_of(key: str, language: str, count: int) -> list[str]:
    one = WORLD.things[key]
    if language == "zh":
        return list(one.chinese)
    # Adjectives stand between a unit and its noun: look for the end of the name.
    return [(noun.many if count > 1 else noun.one).split(" of ")[-1] for noun in one.english]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_thing_and_piece_is_named(language: str) -> None:
    for seed, scene in enumerate(SCENES):
        for text in said(scene, language, seed):
            for item in scene.items:
                assert any(name in text for name in names_of(item.thing, language, scene.count)), text
                for key in item.wearing:
                    piece = WORLD.wearables[key]
                    names = [noun.many if scene.count > 1 and noun.article else noun.one for noun in piece.english]
                    assert any(name in text for name in (names if language == "en" else piece.chinese)), text
                if item.holding:
                    assert any(name in text for name in names_of(item.holding, language, scene.count)), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_counts_agree(language: str) -> None:
    words = {
        "en": ({2: r"\b(two|2) ", 3: r"\b(three|3) ", 4: r"\b(four|4) "}),
        "zh": {2: "[两2]", 3: "[三3]", 4: "[四4]"},
    }
    for seed, scene in enumerate(SCENES):
        for text in said(scene, language, seed):
            for count, pattern in words[language].items():
                measure = WORLD.things[scene.items[0].thing].measure if language == "zh" else ""
                assert bool(re.search(pattern + measure, text)) == (scene.count == count), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_changed_colours_are_said_where_they_are_seen(language: str) -> None:
    for seed, scene in enumerate(SCENES):
        for text in said(scene, language, seed):
            for item in scene.items:
                word = item.colour if language == "en" else ZH_COLOURS.get(item.colour, "")
                if scene.style != "black and white":
                    assert word in text, text
    grey = Scene(
        (Item("apple", 0.5, 0.5, 0.4, colour="blue"),), Background("plain", ("green",)), style="black and white"
    )
    assert not any(re.search("blue|green|[蓝绿]", caption(grey, WORLD, Random(seed))) for seed in range(100))


def test_english_is_well_formed() -> None:
    for seed, scene in enumerate(SCENES):
        for text in said(scene, "en", seed):
            assert text == text.strip()
            assert "  " not in text
            assert not re.search(r"\ba [aeio]", text), text
            assert not re.search(r"\ban [^aeio]", text), text
            assert not re.search(r"\ban? (grapes|scissors|sunglasses)", text), text
            assert not re.search(r"\ban? (apples|cats|owls|cars|balloons|crowns)\b", text), text
            assert "{" not in text


def test_chinese_is_well_formed() -> None:
    for seed, scene in enumerate(SCENES):
        for text in said(scene, "zh", seed):
            assert not re.search("[a-z{}]", text), text
            assert "的的" not in text
            assert "一" not in text or re.search("一[只个串把辆]", text), text
            assert "  " not in text


def test_relations_are_said_in_either_direction_but_never_reversed() -> None:
    cat, owl = Item("cat", 0.2, 0.5, 0.3), Item("owl", 0.8, 0.5, 0.3)
    scene = Scene((owl, cat), Background("plain", ("white",)), "left of", subject=1)
    texts = {caption(scene, WORLD, Random(seed), "en", 0.0) for seed in range(400)}
    wrong = re.compile(r"(cat|kitty|kitten)[a-z ]* right of [a-z ]*owl|owl[a-z ]* left of [a-z ]*(cat|kitty|kitten)")
    assert not [text for text in texts if wrong.search(text)]
    assert any(" left of " in text for text in texts)
    assert any(" right of " in text for text in texts)
    together = sum(" and " in text and " left" not in text for text in texts)
    assert together < 0.5 * len(texts)


def test_both_languages_occur_and_some_captions_are_empty() -> None:
    texts = [caption(scene, WORLD, Random(seed)) for seed, scene in enumerate(SCENES)]
    chinese = sum(bool(re.search("[一-鿿]", text)) for text in texts)
    empty = sum(text == "" for text in texts)
    assert 0.25 < chinese / len(texts) < 0.45
    assert 0.07 < empty / len(texts) < 0.17
    assert all(caption(scene, WORLD, Random(seed), None, 0.0) for seed, scene in enumerate(SCENES))


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_scene_has_many_captions(language: str) -> None:
    scene = Scene((Item("cat", 0.5, 0.5, 0.5, wearing=("sunglasses",)),), Background("plain", ("blue",)))
    assert len({caption(scene, WORLD, Random(seed), language, 0.0) for seed in range(200)}) >= 40


def test_plain_captions() -> None:
    cat = Item("cat", 0.5, 0.5, 0.5, wearing=("sunglasses",))
    blue = Background("plain", ("blue",))
    assert plain_caption(Scene((cat,), blue), WORLD, "en") == "a cat wearing sunglasses on a blue background"
    assert plain_caption(Scene((cat,), blue), WORLD, "zh") == "一只戴着墨镜的猫，蓝色背景"
    apples = (Item("apple", 0.3, 0.5, 0.3, colour="green"),) * 3
    assert plain_caption(Scene(apples, blue), WORLD, "en") == "three green apples on a blue background"
    assert plain_caption(Scene(apples, blue), WORLD, "zh") == "三个绿色的苹果，蓝色背景"


def test_other_languages_are_refused() -> None:
    with pytest.raises(ValueError, match="en or zh"):
        caption(SCENES[0], WORLD, Random(0), "de", 0.0)
