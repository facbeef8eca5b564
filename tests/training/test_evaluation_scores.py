"""Scores and their table: all for a faultless model, nothing for one that draws nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
pytest.importorskip("torch")

from evaluation_stand_ins import NOTHING, as_asked
from fake_art import fake_world

from training.evaluate.complete import complete
from training.evaluate.contender import parse
from training.evaluate.measure import LEAST_PICTURES, Measured, measure, real_pictures, spread_at_best
from training.evaluate.prompts import CATEGORIES, NOTHING_ASKED, Prompt, asked, load_prompts
from training.evaluate.score import Share, is_right, scores
from training.evaluate.table import SCENES, as_json, as_table
from training.judge.classes import Classes
from training.judge.read import Reading
from training.judge.settings import WEIGHTS
from training.scenes.sampler import Sampler
from training.scenes.scene import Background, Scene

CLASSES = Classes.from_json((WEIGHTS / "classes.json").read_text(encoding="utf-8"))
PROMPTS = load_prompts()


def test_what_is_drawn_as_asked_is_right_and_nothing_is_wrong() -> None:
    for prompt in PROMPTS:
        assert is_right(prompt, as_asked(prompt.scene, CLASSES), CLASSES), prompt
        assert not is_right(prompt, NOTHING, CLASSES), prompt


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_right_background_alone_is_not_enough(category: str) -> None:
    prompt = next(one for one in PROMPTS if one.category == category)
    assert not is_right(prompt, replace(as_asked(prompt.scene, CLASSES), seen=()), CLASSES)


@pytest.mark.parametrize("category", ["colour", "count", "position", "wearing", "background"])
def test_the_thing_alone_is_not_enough(category: str) -> None:
    prompt = next(one for one in PROMPTS if one.category == category)
    bare = Scene(tuple(asked(item.thing) for item in prompt.scene.items[:1]), Background("plain", ("brown",)))
    assert not is_right(prompt, as_asked(bare, CLASSES), CLASSES)


def test_rows_add_up() -> None:
    right = [prompt.place % 3 == 0 for prompt in PROMPTS]
    rows = scores(PROMPTS, right)
    assert list(rows)[: len(CATEGORIES)] == list(CATEGORIES)
    for names in (CATEGORIES, ("English", "Chinese")):
        assert sum(rows[name].right for name in names) == rows["overall"].right == sum(right)
        assert sum(rows[name].asked for name in names) == rows["overall"].asked == 500
    assert rows["unseen combinations"].asked == 107
    assert rows["seen combinations"].asked == 80 + 3 * 60 - 107
    assert scores(PROMPTS[:1], [True]) == dict.fromkeys(("single object", "English", "overall"), Share(1, 1))


class StandInJudge:
    """Sees what is asked in pictures that are not black; the features are the pictures' means."""

    classes = CLASSES

    def __init__(self, prompts: list[Prompt]) -> None:
        self.prompts = prompts

    def read(self, pictures: np.ndarray) -> list[Reading]:
        pairs = zip(self.prompts, pictures, strict=True)
        return [as_asked(prompt.scene, CLASSES) if picture.any() else NOTHING for prompt, picture in pairs]

    def features(self, pictures: np.ndarray) -> np.ndarray:
        return pictures.mean(axis=(2, 3)).astype(np.float32)


def test_pictures_are_judged_in_the_order_of_the_prompts() -> None:
    prompts = PROMPTS[: 2 * LEAST_PICTURES]
    judge = StandInJudge(prompts)
    pictures = np.random.default_rng(0).integers(1, 256, (len(prompts), 3, 4, 4), np.uint8)
    real = spread_at_best(pictures, judge)
    assert measure(prompts, pictures, judge, real).frechet == pytest.approx(0, abs=1e-6)
    pictures[7] = 0
    found = measure(prompts, pictures, judge, real)
    assert found.wrong == (7,)
    assert found.frechet is not None
    assert found.frechet > 0
    judge.prompts = prompts[:9]
    assert measure(prompts[:9], pictures[:9], judge, real).frechet is None


def test_the_table_and_the_file() -> None:
    perfect = Measured(scores(PROMPTS, [True] * 500), 0.5, ())
    poor = Measured(scores(PROMPTS, [prompt.language == "en" for prompt in PROMPTS]), None, (1, 3))
    columns = {"teacher": poor, SCENES: perfect}
    head, first, *rows, last = as_table(columns).splitlines()
    assert head.split() == ["asked", "mark", "teacher", SCENES]
    assert first.split() == ["single", "object", "120", "90%", "60.0%", "100.0%"]
    assert [row.split()[-2:] for row in rows if row.startswith("Chinese")] == [["0.0%", "100.0%"]]
    assert last.split() == ["Frechet", "distance", "-", "0.50"]
    assert len({len(row) for row in (head, first, *rows, last)}) == 1
    table = json.loads(json.dumps(as_json(columns, {"teacher": parse("teacher=folder:steps=4")})))
    assert table["teacher"]["scores"]["overall"] == {"right": 300, "asked": 500, "percent": 60.0}
    assert table["teacher"]["settings"] == {"model": "folder", "steps": 4}
    assert table["teacher"]["wrong"] == [1, 3]


ASKED = {
    "one": Scene((asked("apple", "blue"),), NOTHING_ASKED),
    "dressed": Scene((asked("cat", wearing=("top_hat",)),), NOTHING_ASKED),
    "several": Scene((asked("dog"),) * 3, NOTHING_ASKED),
    "related": Scene((asked("cat"), asked("dog")), NOTHING_ASKED, "above"),
    "ground": Scene((asked("car"),), Background("plain", ("red",))),
}


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return Sampler(fake_world(), held_out=frozenset())


@pytest.mark.parametrize("kind", ASKED)
def test_asked_scenes_are_made_whole_and_still_what_was_asked(kind: str, sampler: Sampler) -> None:
    scene = complete(ASKED[kind], sampler, Random(1))
    assert all(0 < item.x < 1 and item.side > 0.1 for item in scene.items)
    assert scene.background.kind
    assert (scene.count, scene.relation) == (ASKED[kind].count, ASKED[kind].relation)
    assert {(item.thing, item.colour, item.wearing) for item in scene.items} == {
        (item.thing, item.colour, item.wearing) for item in ASKED[kind].items
    }
    if scene.relation:
        assert scene.items[scene.subject].thing == "cat"
        assert scene.items[scene.subject].y < scene.items[1 - scene.subject].y
    if kind == "ground":
        assert (scene.background.kind, scene.background.colours) == ("plain", ("red",))


def test_real_pictures_differ_by_lot_and_not_by_company(sampler: Sampler) -> None:
    class Studio:
        """Four numbers about a scene for a picture."""

        def pictures(self, scenes: list[Scene]) -> np.ndarray:
            first = [scene.items[0] for scene in scenes]
            return np.array([[[[255 * item.x, 255 * item.y, 255 * item.side]]] for item in first], np.uint8)

    prompts = [Prompt(place, "single object", "en", "plain", "", ASKED["one"]) for place in range(20)]
    all_of_them = real_pictures(prompts, sampler, Studio(), "reference")
    assert all_of_them.shape == (20, 3, 1, 1)
    np.testing.assert_array_equal(all_of_them[3:5], real_pictures(prompts[3:5], sampler, Studio(), "reference"))
    assert (all_of_them != real_pictures(prompts, sampler, Studio(), SCENES)).any()
