"""Textual inversion's words."""

from __future__ import annotations

import pytest

from nutshell.errors import UsageError
from nutshell.tokens import Tokenizer

BASE = 49408


def ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    chunks = tokenizer.encode(prompt)
    return chunks.ids[0, 1 : chunks.end_positions[0]].tolist()


@pytest.fixture
def toys(clip: Tokenizer) -> Tokenizer:
    return clip.with_placeholders({"<cat-toy>": 2, "midj style": 1, "style": 3})


def test_ids_follow_the_vocabulary_in_the_mappings_order(toys: Tokenizer) -> None:
    assert toys.placeholders == {
        "<cat-toy>": (BASE, BASE + 1),
        "midj style": (BASE + 2,),
        "style": (BASE + 3, BASE + 4, BASE + 5),
    }
    assert toys.vocabulary_size == BASE


@pytest.mark.parametrize("name", ["<cat-toy>", "<CAT-Toy>"])
def test_a_word_becomes_its_vectors(clip: Tokenizer, toys: Tokenizer, name: str) -> None:
    assert ids(toys, f"a photo of {name}, nice") == [
        *ids(clip, "a photo of"),
        BASE,
        BASE + 1,
        *ids(clip, ", nice"),
    ]
    assert toys.count(f"a {name}") == 3


def test_whole_words_only(clip: Tokenizer, toys: Tokenizer) -> None:
    for prompt in ("stylebook", "lifestyle", "style_2", "styles"):
        assert ids(toys, prompt) == ids(clip, prompt)
    # Signs at its edge make a name whole by themselves.
    assert ids(toys, "x<cat-toy>y") == [*ids(clip, "x"), BASE, BASE + 1, *ids(clip, "y")]


def test_the_longer_name_goes_first(clip: Tokenizer, toys: Tokenizer) -> None:
    assert ids(toys, "Midj \n Style") == [BASE + 2]
    assert ids(toys, "my style") == [*ids(clip, "my"), BASE + 3, BASE + 4, BASE + 5]


def test_accents_are_composed(clip: Tokenizer) -> None:
    assert ids(clip.with_placeholders({"caf\u00e9": 1}), "cafe\u0301") == [BASE]


def test_all_vectors_carry_the_weight(toys: Tokenizer) -> None:
    assert toys.encode("(<cat-toy>:1.4) x").weights[0, :4].tolist() == pytest.approx([1, 1.4, 1.4, 1])


def test_a_placeholder_is_moved_whole_to_the_next_chunk(toys: Tokenizer) -> None:
    chunks = toys.encode("cat " * 74 + "<cat-toy>")
    assert chunks.end_positions.tolist() == [75, 3]
    assert chunks.ids[1, 1:3].tolist() == [BASE, BASE + 1]


def test_placeholders_add_up_and_leave_the_first_tokenizer_alone(clip: Tokenizer, toys: Tokenizer) -> None:
    more = toys.with_placeholders({"other": 1})
    assert more.placeholders["other"] == (BASE + 6,)
    assert more.placeholders["<cat-toy>"] == (BASE, BASE + 1)
    assert "other" not in toys.placeholders
    assert clip.placeholders == {}


@pytest.mark.parametrize("counts", [{"": 1}, {"  ": 1}, {"new": 0}, {"new": -1}, {"STYLE": 1}, {"a b": 1, "A  b": 1}])
def test_refused(toys: Tokenizer, counts: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        toys.with_placeholders(counts)
    assert caught.value.hint


def test_in_a_small_vocabulary(small: Tokenizer) -> None:
    toy = small.with_placeholders({"<toy>": 1})
    assert small.vocabulary_size in ids(toy, "a <toy>")
