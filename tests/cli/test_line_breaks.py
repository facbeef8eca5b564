"""Lines of so many cells."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutshell.cli.line_breaks import broken
from nutshell.cli.speech import width

ENGLISH = "how closely to follow the prompt; 1 is off and twice as fast (default: the model's own) nutshell-models/"
CHINESE = "多大程度上遵从提示词；1 为关闭，速度快一倍（默认：随模型），与 nutshell-preview.png 合用"


@pytest.mark.parametrize("columns", [20, 24, 33, 54, 200])
def test_english_as_python_does(columns: int) -> None:
    wanted = textwrap.wrap(ENGLISH, columns, initial_indent="* ", subsequent_indent="   ", break_on_hyphens=False)
    assert broken(ENGLISH, columns, "* ", "   ") == wanted


@pytest.mark.parametrize("columns", range(20, 60))
def test_chinese_fills_its_lines(columns: int) -> None:
    lines = broken(CHINESE, columns)
    assert "".join(lines).replace(" ", "") == CHINESE.replace(" ", "")
    for line in lines:
        assert width(line) <= columns
        assert line[0] not in "，。；：）"
        assert line[-1] not in "（"
    # A break can only lie a word or two characters before the end, so none is lost to a whole sentence.
    assert all(width(line) >= columns - width("nutshell-preview.png") for line in lines[:-1])


def test_words_stay_whole() -> None:
    assert broken("请用 --guidance 选项", 14) == ["请用", "--guidance 选", "项"]
    assert broken("（默认：0,1）", 6) == ["（默", "认：", "0,1）"]


def test_what_is_too_wide_is_cut() -> None:
    assert broken("abcdefgh", 4, "> ", "> ") == ["> ab", "> cd", "> ef", "> gh"]
    assert broken("", 10, "  label") == ["  label"]
    assert broken("字", 1) == ["字"]


@given(st.text(alphabet="ab 字，（）。-1"), st.integers(2, 20))
def test_nothing_is_lost_and_nothing_is_too_wide(text: str, columns: int) -> None:
    lines = broken(text, columns)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(map(width, lines)) <= columns
