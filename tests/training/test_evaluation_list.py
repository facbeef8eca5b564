"""The fixed list of prompts: as promised, and what it asks for is what its texts say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
pytest.importorskip("torch")

from training.artist.settings import load_recipe
from training.evaluate.prompts import CATEGORIES, LIST, load_prompts, save_prompts, spread
from training.evaluate.sheet import load_sheet
from training.evaluate.wording import says_it
from training.judge.classes import Classes
from training.judge.settings import WEIGHTS
from training.scenes.held_out import combinations_of, load_held_out
from training.scenes.wardrobe import load_wearables

PROMPTS = load_prompts()
THINGS = {item.thing for prompt in PROMPTS for item in prompt.scene.items}


def test_as_many_of_each_category_as_promised() -> None:
    assert Counter(prompt.category for prompt in PROMPTS) == CATEGORIES
    assert len(PROMPTS) == len({prompt.text for prompt in PROMPTS}) == 500
    assert [prompt.place for prompt in PROMPTS] == list(range(500))


@pytest.mark.parametrize("category", CATEGORIES)
def test_two_of_five_are_chinese_and_half_plain_in_every_category(category: str) -> None:
    some = [prompt for prompt in PROMPTS if prompt.category == category]
    chinese = [prompt for prompt in some if prompt.language == "zh"]
    assert 5 * len(chinese) == 2 * len(some)
    for prompts in (some, chinese):
        assert 2 * sum(prompt.wording == "plain" for prompt in prompts) == len(prompts)
    assert all(prompt.language == "en" or any("一" <= sign <= "鿿" for sign in prompt.text) for prompt in some)


def test_small_models_know_every_thing_and_the_judge_does() -> None:
    assert set(load_recipe("cpu").world.things) >= THINGS
    classes = Classes.from_json((WEIGHTS / "classes.json").read_text(encoding="utf-8"))
    assert {classes.class_of(thing) for thing in THINGS} <= set(classes.things)
    assert {piece for prompt in PROMPTS for item in prompt.scene.items for piece in item.wearing} <= set(
        load_wearables()
    )


def test_unseen_combinations_are_held_out_and_the_others_are_not() -> None:
    held_out = load_held_out()
    for prompt in PROMPTS:
        found = combinations_of(prompt.scene) & held_out
        assert found == ({prompt.unseen} if prompt.unseen else set()), prompt
    unseen = Counter(prompt.category for prompt in PROMPTS if prompt.unseen)
    assert unseen == {"two objects": 23, "colour": 24, "wearing": 30, "background": 30}


def test_each_category_asks_its_question() -> None:
    for prompt in PROMPTS:
        scene, first = prompt.scene, prompt.scene.items[0]
        assert (scene.count > 1) == (prompt.category == "count")
        assert bool(first.colour) == (prompt.category == "colour")
        assert bool(first.wearing) == (prompt.category == "wearing")
        assert bool(scene.relation) == (prompt.category == "position")
        assert bool(scene.background.kind) == (prompt.category == "background")
        assert scene.count > 1 or len(scene.items) == (2 if prompt.category in ("two objects", "position") else 1)


def test_texts_say_relations_and_backgrounds() -> None:
    assert [prompt.text for prompt in PROMPTS if not says_it(prompt.text, prompt.scene, prompt.language)] == []


def test_a_list_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_prompts(PROMPTS, tmp_path / "list.jsonl")
    assert (tmp_path / "list.jsonl").read_text(encoding="utf-8") == LIST.read_text(encoding="utf-8")


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(LIST.read_text(encoding="utf-8").splitlines()[0] + '\n{"text": "a cat"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"list\.jsonl, line 2"):
        load_prompts(path)


def test_a_few_are_spread_over_all_categories_and_languages() -> None:
    assert spread(PROMPTS, None) == PROMPTS
    few, more = spread(PROMPTS, 25), spread(PROMPTS, 100)
    assert len(few) == 25
    assert set(few) < set(more)
    for category, count in Counter(prompt.category for prompt in more).items():
        assert abs(count - CATEGORIES[category] / 5) <= 1
    assert 30 <= sum(prompt.language == "zh" for prompt in more) <= 50


def test_the_sheet_has_64_different_prompts_and_the_empty_one_last() -> None:
    prompts = load_sheet()
    assert len(prompts) == len(set(prompts)) == 64
    assert prompts[-1] == ""
