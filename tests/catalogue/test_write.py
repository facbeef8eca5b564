"""Cards as text, and the page that explains them."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

import pytest

from nutshell.catalogue import ModelCard, shipped
from nutshell.catalogue.keys import KEYS
from nutshell.catalogue.reference import render_reference
from nutshell.catalogue.write import card_table, card_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ODD = 'a "quoted" \\ name = 模型 #1'


@pytest.mark.parametrize("card", shipped().values(), ids=list(shipped()))
def test_a_card_survives_being_written(card: ModelCard) -> None:
    assert ModelCard.read(card.name, tomllib.loads(card_text(card))) == card
    assert ModelCard.read(card.name, card_table(card)) == card


def test_odd_text_survives() -> None:
    card = ModelCard(
        "x", ODD, "MIT", parameters={ODD: 1}, shapes={ODD: {ODD: [ODD, 1.5, True, None]}}, commercial=False
    )
    read = ModelCard.read("x", tomllib.loads(card_text(card)))
    assert (read.title, read.parameters, read.commercial) == (ODD, {ODD: 1}, False)
    assert read.shapes[ODD][ODD][:3] == [ODD, 1.5, True]


def test_the_rows_are_the_fields() -> None:
    assert {row.name for row in KEYS} == {field.name for field in fields(ModelCard)} - {"name"}


def test_the_page_is_made_from_the_rows() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "cards.md"
    assert page.read_text(encoding="utf-8") == render_reference(), "run python -m nutshell.catalogue.reference"
