"""The bracket syntax, example by example, and what holds for every string."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutshell.tokens import escape, parse_prompt
from nutshell.tokens.weighting import LARGEST_WEIGHT

SYNTAX = st.lists(st.sampled_from([*"ab1 .:-+()[]\\", "BREAK", "\n", "猫"]), max_size=40).map("".join)

EXAMPLES: list[tuple[str, list[tuple[str, float]]]] = [
    ("normal text", [("normal text", 1)]),
    ("(word)", [("word", 1.1)]),
    ("((word))", [("word", 1.21)]),
    ("[word]", [("word", 1 / 1.1)]),
    ("[[word]]", [("word", 1 / 1.21)]),
    ("(word:1.3)", [("word", 1.3)]),
    ("(word: 1.3 )", [("word", 1.3)]),
    ("(word:.5)", [("word", 0.5)]),
    ("(word:2.)", [("word", 2)]),
    ("(word:0)", [("word", 0)]),
    ("(word:-1)", [("word", -1)]),
    ("(word:+1.5)", [("word", 1.5)]),
    ("a (b) c", [("a ", 1), ("b", 1.1), (" c", 1)]),
    ("a (b (c:2) d:1.5) e", [("a ", 1), ("b ", 1.5), ("c", 3), (" d", 1.5), (" e", 1)]),
    ("([a])", [("a", 1)]),
    ("[a (b:1.1)]", [("a ", 1 / 1.1), ("b", 1)]),
    # The colon belongs to a weight only before a number and a bracket.
    ("a: b", [("a: b", 1)]),
    ("(a: b)", [("a: b", 1.1)]),
    ("(16:9)", [("16", 9)]),
    ("a:1.3) b", [("a:1.3) b", 1)]),
    # No plain number: text.
    ("(a:nan)", [("a:nan", 1.1)]),
    ("(a:inf)", [("a:inf", 1.1)]),
    ("(a:1e3)", [("a:1e3", 1.1)]),
    ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
    ("(a:)", [("a:", 1.1)]),
    ("(a:.)", [("a:.", 1.1)]),
    ("(a:٣)", [("a:٣", 1.1)]),
    # Clamped.
    ("(a:99999)", [("a", 100)]),
    ("(a:-99999)", [("a", -100)]),
    ("(a:" + "9" * 400 + ")", [("a", 100)]),
    # Escapes.
    (r"\(a\)", [("(a)", 1)]),
    (r"\[a\]", [("[a]", 1)]),
    (r"a\\b", [("a\\b", 1)]),
    (r"a\b", [("a\\b", 1)]),
    (r"(a \(b\):1.5)", [("a (b)", 1.5)]),
    (r"\\(a)", [("\\", 1), ("a", 1.1)]),
    ("a\\", [("a\\", 1)]),
    # Unbalanced.
    ("(a", [("a", 1.1)]),
    ("((a", [("a", 1.21)]),
    ("a) b", [("a) b", 1)]),
    ("[a", [("a", 1 / 1.1)]),
    ("a]", [("a]", 1)]),
    ("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 1 / 1.1)]),
    ("(a] b)", [("a] b", 1.1)]),
    ("", []),
    ("()", []),
    ("(:1.2)", []),
    (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
            ("a ", 1),
            ("house", 1.1 * 1.1 * 1.3),
            (" ", 1.1),
            ("on", 1),
            (" a ", 1.1),
            ("hill", 0.55),
            (", sun, ", 1.1),
            ("sky", 1.1**4),
            (".", 1.1),
        ],
    ),
]


@pytest.mark.parametrize(("prompt", "wanted"), EXAMPLES)
def test_examples(prompt: str, wanted: list[tuple[str, float]]) -> None:
    (section,) = parse_prompt(prompt)
    assert [piece.text for piece in section] == [text for text, _ in wanted]
    assert [piece.weight for piece in section] == pytest.approx([weight for _, weight in wanted])


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("a BREAK b", [[("a", 1)], [("b", 1)]]),
        ("a\nBREAK\nb", [[("a", 1)], [("b", 1)]]),
        ("(a BREAK b:1.5) c", [[("a", 1.5)], [("b", 1.5), (" c", 1)]]),
        ("BREAK a", [[], [("a", 1)]]),
        ("a BREAK BREAK b", [[("a", 1)], [], [("b", 1)]]),
        ("BREAK", [[], []]),
        ("BREAKFAST, break, UNBREAKABLE", [[("BREAKFAST, break, UNBREAKABLE", 1)]]),
    ],
)
def test_break(prompt: str, wanted: list[list[tuple[str, float]]]) -> None:
    assert [[tuple(piece) for piece in section] for section in parse_prompt(prompt)] == wanted


@given(st.one_of(st.text(), SYNTAX))
@settings(max_examples=1000, deadline=None)
def test_any_string_is_read(prompt: str) -> None:
    sections = parse_prompt(prompt)
    assert sections
    for piece in (piece for section in sections for piece in section):
        assert piece.text
        assert math.isfinite(piece.weight)
        assert abs(piece.weight) <= LARGEST_WEIGHT
    for section in sections:
        assert all(left.weight != right.weight for left, right in pairwise(section))


@given(st.text(alphabet=st.characters(exclude_characters="()[]\\", codec="utf-8")))
def test_text_without_syntax_is_kept(prompt: str) -> None:
    wanted = ((),) if not prompt else (((prompt, 1.0),),)
    assert "BREAK" in prompt or parse_prompt(prompt) == wanted


@given(st.one_of(st.text(), SYNTAX))
@settings(max_examples=500, deadline=None)
def test_escaping_round_trips(text: str) -> None:
    if "BREAK" in text:
        return
    (section,) = parse_prompt(escape(text))
    assert "".join(piece.text for piece in section) == text
    assert all(piece.weight == 1 for piece in section)


@given(SYNTAX)
@settings(max_examples=500, deadline=None)
def test_no_letter_is_lost(prompt: str) -> None:
    """Only brackets, escapes, weights and BREAK vanish."""
    kept = "".join(piece.text for section in parse_prompt(prompt) for piece in section)
    for letter in "a猫":
        assert kept.count(letter) == prompt.count(letter)


@given(st.text("abc ", min_size=1), st.floats(-100, 100).map(lambda weight: round(weight, 3)))
def test_a_written_weight_is_read(text: str, weight: float) -> None:
    assert parse_prompt(f"({text}:{weight:.3f})") == (((text, pytest.approx(weight)),),)


@pytest.mark.parametrize("unit", ["(", "[", "(a", "[(a", ")", "\\", ":1.1)", "(a:9)", "BREAK", ": "])
def test_long_prompts_are_read_in_good_time(unit: str) -> None:
    begin = time.process_time()
    parse_prompt(unit * 5000)
    assert time.process_time() - begin < 2


def test_zero_inside_any_number_of_brackets_is_zero() -> None:
    assert parse_prompt("(" * 20_000 + "a:0" + ")" * 20_000) == ((("a", 0.0),),)
