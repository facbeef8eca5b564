"""Readings made by hand: which questions they answer rightly."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
pytest.importorskip("numpy")

from judge_stand_in import CLASSES

from training.judge.questions import accuracy, answers
from training.judge.read import Reading, Seen
from training.scenes.scene import Background, Item, Scene

WHITE = Background("plain", ("white",))
LEFT, RIGHT = (0.05, 0.3, 0.35, 0.6), (0.6, 0.3, 0.9, 0.6)
DISC = Seen("disc", "blue", LEFT, "small", frozenset({"hat"}), "flag")
SQUARE = Seen("square", "", RIGHT, "medium")
ASKED = Item("disc", 0, 0, 0, "small", "blue", ("hat",), "flag")
PAIR = Scene((ASKED, Item("square", 0, 0, 0)), WHITE, "left of", style="sticker")
READ = Reading((DISC, SQUARE), WHITE, "sticker")


def test_everything_right() -> None:
    right = answers(PAIR, READ, CLASSES)
    assert set(right) == {"thing", "colour", "size", "background", "relation", "wearing", "holding", "style"}
    assert all(right.values())


def test_only_what_was_asked_is_answered() -> None:
    plain = Scene((Item("square", 0, 0, 0),), Background("", ()))
    assert answers(plain, READ, CLASSES) == {"thing": True}


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        (replace(READ, seen=(replace(DISC, colour="green"), SQUARE)), "colour"),
        (replace(READ, seen=(replace(DISC, size="tiny"), SQUARE)), "size"),
        (replace(READ, seen=(replace(DISC, wearing=frozenset()), SQUARE)), "wearing"),
        (replace(READ, seen=(replace(DISC, wearing=frozenset({"hat", "scarf"})), SQUARE)), "wearing"),
        (replace(READ, seen=(replace(DISC, holding=""), SQUARE)), "holding"),
        (replace(READ, seen=(replace(DISC, box=RIGHT), replace(SQUARE, box=LEFT))), "relation"),
        (replace(READ, background=Background("sky")), "background"),
        (replace(READ, background=Background("plain", ("red",))), "background"),
        (replace(READ, style=""), "style"),
    ],
)
def test_one_thing_wrong(changed: Reading, kind: str) -> None:
    wrong = [name for name, right in answers(PAIR, changed, CLASSES).items() if not right]
    assert wrong == [kind]


def test_a_missing_thing_makes_all_that_was_asked_of_it_wrong() -> None:
    right = answers(PAIR, replace(READ, seen=(SQUARE,)), CLASSES)
    assert [kind for kind, value in right.items() if value] == ["background", "style"]


def test_a_look_alike_will_do() -> None:
    assert answers(Scene((Item("coin", 0, 0, 0),), WHITE), READ, CLASSES)["thing"]


def test_the_colour_of_the_art_answers_for_itself() -> None:
    red = Scene((Item("disc", 0, 0, 0, colour="red"),), WHITE)
    assert answers(red, Reading((replace(DISC, colour=""),), WHITE), CLASSES)["colour"]
    assert not answers(red, Reading((DISC,), WHITE), CLASSES)["colour"]


def test_counts() -> None:
    three = Scene((replace(ASKED, wearing=(), holding=""),) * 3, WHITE)
    seen = (DISC, replace(DISC, box=RIGHT), SQUARE)
    two_of_three = answers(three, Reading(seen, WHITE), CLASSES)
    assert two_of_three["thing"]
    assert two_of_three["colour"]
    assert not two_of_three["count"]
    assert answers(three, Reading((*seen, DISC), WHITE), CLASSES)["count"]


def test_each_asked_thing_needs_one_of_its_own() -> None:
    blue_and_red = Scene((ASKED, replace(ASKED, colour="red")), WHITE)
    assert not answers(blue_and_red, Reading((DISC,), WHITE), CLASSES)["colour"]
    assert answers(blue_and_red, Reading((replace(DISC, colour="red"), DISC), WHITE), CLASSES)["colour"]


def test_the_colours_of_a_gradient_have_no_order_and_grey_pictures_none() -> None:
    asked = Scene((), Background("gradient", ("red", "blue")))
    assert answers(asked, Reading((), Background("gradient", ("blue", "red"))), CLASSES)["background"]
    grey = replace(asked, style="black and white")
    assert answers(grey, Reading((), Background("gradient", ("white", "red"))), CLASSES)["background"]


def test_in_front_is_who_is_less_covered() -> None:
    front = replace(DISC, box=(0.3, 0.4, 0.6, 0.8), covered=0.1)
    behind = replace(SQUARE, box=(0.4, 0.3, 0.7, 0.7), covered=0.9)
    relations = Reading((front, behind), WHITE).relations
    assert (0, "in front of", 1) in relations
    assert (1, "in front of", 0) not in relations


def test_accuracy_by_kind_and_over_all() -> None:
    rows = [{"thing": True, "colour": False}, {"thing": True}]
    assert accuracy(rows) == {"thing": (1.0, 2), "colour": (0.0, 1), "overall": (pytest.approx(2 / 3), 3)}
