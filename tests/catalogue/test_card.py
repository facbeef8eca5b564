"""Model cards: the ones that ship, and broken ones."""

from __future__ import annotations

import pytest

from nutshell.catalogue import ModelCard, card, cards
from nutshell.catalogue.shelf import check_bases
from nutshell.errors import ModelError, ModelNotFound
from nutshell.sampling import find_sampler


def test_every_shipped_card_is_usable() -> None:
    assert "artist" in cards()
    for name, each in cards().items():
        assert each.name == name
        assert each.width % 8 == each.height % 8 == 0
        assert each.sampler is None or find_sampler(each.sampler)
        assert not each.preview or len(each.preview) == 5


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelNotFound) as caught:
        card("nobody")
    assert "artist" in caught.value.hint


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"title": "t"}, "lacks licence"),
        ({"title": "t", "licence": "MIT", "colour": "red"}, "unknown key 'colour'"),
        ({"title": "t", "licence": "MIT", "steps": 0}, "steps"),
        ({"title": "t", "licence": "MIT", "width": "wide"}, "width"),
        ({"title": "t", "licence": "MIT", "preview": [[1.0, 2.0]]}, "three colours"),
    ],
)
def test_a_broken_card_is_named(table: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        ModelCard.read("mine", table)


def test_a_base_is_a_whole_model() -> None:
    whole = ModelCard.read("whole", {"title": "t", "licence": "MIT", "folder": "whole"})
    half = ModelCard.read("half", {"title": "t", "licence": "MIT", "folder": "half", "base": "whole"})
    quarter = ModelCard.read("quarter", {"title": "t", "licence": "MIT", "folder": "quarter", "base": "half"})
    check_bases({"whole": whole, "half": half})
    for wrong in ({"half": half}, {"whole": whole, "half": half, "quarter": quarter}):
        with pytest.raises(ModelError, match="is no whole built-in model"):
            check_bases(wrong)
