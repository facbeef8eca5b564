"""Names: English grammar, hand-written names over the CLDR's, keys, colours, look-alikes. Needs no art."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy")
pytest.importorskip("PIL")
pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
from training.scenes.art import ANNOTATIONS
from training.scenes.facts import is_thing, load_facts
from training.scenes.names import (
    COLOUR_WORDS,
    RECOLOURS,
    Grammar,
    group_of,
    key_of,
    load_grammar,
    load_world,
    plain_english,
)
from training.scenes.scene import BACKGROUNDS, COLOURS
from training.scenes.world import Noun, World

CLDR = {
    "en": {
        "1f431": "cat face", "1f408": "cat", "1f34e": "red apple", "1f34f": "green apple", "1f697": "automobile",
        "1f600": "grinning face", "1f9d1-200d-1f33e": "farmer", "1f468-200d-1f33e": "man farmer", "1f499": "blue heart",
        "1f471": "person: blond hair", "1f6b5": "person mountain biking", "1f347": "grapes",
        "1f37d": "fork and knife with plate",
        "23e9": "fast-forward button", "1f550": "one o’clock", "1f389": "party popper", "2764": "red heart",
    },
    "zh": {
        "1f431": "猫脸", "1f408": "猫", "1f34e": "红苹果", "1f34f": "青苹果", "1f697": "汽车", "1f600": "嘿嘿",
        "1f9d1-200d-1f33e": "农民", "1f468-200d-1f33e": "农夫", "1f499": "蓝心", "1f471": "金色头发的人",
        "1f6b5": "骑山地车", "1f347": "葡萄", "1f37d": "餐具", "23e9": "快进按钮", "1f550": "一点", "1f389": "拉炮彩带",
        "2764": "红心",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world with the few CLDR names above, laid out as the Debian package does."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / ANNOTATIONS).mkdir(parents=True)
    for language, names in CLDR.items():
        characters = {"".join(chr(int(point, 16)) for point in code.split("-")): name for code, name in names.items()}
        rows = "".join(f'<annotation cp="{cp}" type="tts">{name}</annotation>' for cp, name in characters.items())
        (cache / ANNOTATIONS / f"{language}.xml").write_text(f"<ldml><annotations>{rows}</annotations></ldml>", "utf-8")
    return load_world(cache)


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return load_grammar()


@pytest.mark.parametrize(
    ("name", "many", "article"),
    [
        ("apple", "apples", "an"),
        ("bus", "buses", "a"),
        ("kitty", "kitties", "a"),
        ("boy", "boys", "a"),
        ("fish", "fish", "a"),
        ("pufferfish", "pufferfish", "a"),
        ("mouse", "mice", "a"),
        ("snowman", "snowmen", "a"),
        ("maple leaf", "maple leaves", "a"),
        ("unicorn", "unicorns", "a"),
        ("hourglass", "hourglasses", "an"),
        ("ufo", "ufos", "a"),
        ("cup of coffee", "cups of coffee", "a"),
        ("woman running", "women running", "a"),
        ("woman farmer", "women farmers", "a"),
        ("face with tears of joy", "faces with tears of joy", "a"),
        ("face licking its lips", "faces licking their lips", "a"),
        ("glasses", "pairs of glasses", ""),
        ("grapes", "bunches of grapes", ""),
        ("bread", "loaves of bread", ""),
        ("two hearts", "pairs of hearts", ""),
        ("fork and knife", "sets of fork and knife", "a"),
        ("no entry sign", "no entry signs", "a"),
        ("statue of liberty", "statues of liberty", "the"),
        ("santa claus", "santa clauses", ""),
    ],
)
def test_articles_and_plurals(grammar: Grammar, name: str, many: str, article: str) -> None:
    assert grammar.noun(name) == Noun(name, many, article)


def test_clumsy_names_are_made_plain(grammar: Grammar) -> None:
    assert plain_english("Cat Face", "animal", grammar.phrases) == "cat"
    assert plain_english("grinning face", "face", grammar.phrases) == "grinning face"
    assert plain_english("person: blond hair", "person", grammar.phrases) == "person with blond hair"
    assert plain_english("woman mountain biking", "person", grammar.phrases) == "woman riding a mountain bike"


def test_keys(world: World) -> None:
    assert key_of("woman’s hat") == "womans_hat"
    assert key_of("piñata") == "pinata"
    assert all(key == thing.key for key, thing in world.things.items())
    assert len({thing.code for thing in world.things.values()}) == len(world.things)
    assert world.things["cat_face"].code == "1f431"
    assert "goose" in world.things  # newer than the CLDR's names: its key is in the table


def test_things_left_out(world: World) -> None:
    assert not any(thing.code == "1f550" for thing in world.things.values())
    assert is_thing("1f431")
    for code in ("1f1e9-1f1ea", "0031-fe0f-20e3", "1f51f", "1f44d-1f3fd", "1f3f4-e0067_e0062", "1f550"):
        assert not is_thing(code)


def test_hand_written_names_come_first(world: World) -> None:
    cat = world.things["cat_face"]
    assert [noun.one for noun in cat.english] == ["cat", "kitty", "kitten"]
    assert cat.chinese[0] == "猫"
    assert cat.measure == "只"
    assert world.things["automobile"].english[0].one == "car"
    assert world.things["automobile"].measure == "辆"
    assert world.things["cat"].english[0].one == "cat"


def test_names_by_rule(world: World) -> None:
    assert [noun.one for noun in world.things["man_farmer"].english] == ["male farmer", "man farmer"]
    assert world.things["fast_forward_button"].chinese == ("快进按钮",)


def test_every_thing_can_be_named(world: World) -> None:
    for thing in world.things.values():
        assert thing.english
        assert thing.chinese
        assert thing.measure
        assert all(noun.one == noun.one.strip() and noun.many and "  " not in noun.one for noun in thing.english)
        assert thing.weight > 0


def test_colours(world: World) -> None:
    apple = world.things["red_apple"]
    assert apple.colour == "red"
    assert set(apple.recolours) == set(RECOLOURS) - {"red"}
    for key in ("green_apple", "blue_heart", "grinning_face"):
        assert world.things[key].recolours == ()
    for thing in world.things.values():
        assert thing.colour in ("", *COLOURS)
        assert not thing.recolours or not COLOUR_WORDS & set(thing.english[0].one.split())


def test_groups() -> None:
    groups = {code: group_of(code) for code in ("1f431", "1f600", "1f34e", "1f697", "1f339", "2600-fe0f", "1f4f1")}
    assert list(groups.values()) == ["animal", "face", "food", "vehicle", "plant", "weather", "object"]


def test_look_alikes_point_to_one_that_stands_for_itself(world: World) -> None:
    assert world.things["man_farmer"].look_alike == "farmer"
    for thing in world.things.values():
        if thing.look_alike:
            assert world.things[thing.look_alike].look_alike in ("", thing.look_alike)


def test_palette_and_grounds_have_both_languages(world: World) -> None:
    assert set(world.colours) == set(COLOURS)
    assert set(world.grounds) == set(BACKGROUNDS)
    for row in (*world.colours.values(), *world.grounds.values()):
        assert row["en"]
        assert row["zh"]


def test_facts() -> None:
    facts = load_facts()
    assert len(facts) > 1500
    for fact in facts.values():
        left, top, right, bottom = fact.box
        assert 0 <= left < right <= 256
        assert 0 <= top < bottom <= 256
        assert 0 <= fact.hue_degrees <= 360
