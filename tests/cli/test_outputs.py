"""Names of pictures, good on every file system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutshell.cli.outputs import picture_stem, slug
from nutshell.cli.progress import time_left
from nutshell.cli.prompts import typed


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a cat, wearing: sunglasses!", "a-cat-wearing-sunglasses"),
        ("一只戴墨镜的猫", "一只戴墨镜的猫"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "con"),
        ("🦊", "picture"),
        ("", "picture"),
        ("हिन्दी", "हिन्दी"),
        ("a very long prompt that goes on and on and on for ever", "a-very-long-prompt-that-goes-on-and-on"),
        ("x" * 100, "x" * 40),
        ("猫" * 100, "猫" * 30),
    ],
)
def test_slugs(prompt: str, name: str) -> None:
    assert slug(prompt) == name


@given(st.text(alphabet=st.characters()), st.integers(-(2**63), 2**64))
def test_names_are_safe(prompt: str, seed: int) -> None:
    name = picture_stem(prompt, seed)
    assert name.startswith("nutshell-")
    assert len(name.encode()) <= 140
    assert not set('<>:"/\\|?*\0\n\r\t ') & set(name)
    assert not name.endswith(".")


def test_bytes_of_another_locale_are_read_as_utf8() -> None:
    assert typed("猫") == "猫"
    assert typed("\udce7\udc8c\udcab") == "猫"
    assert typed("bad \udcff") == "bad \ufffd"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s left"), (75, "75 s left"), (150, "2 min left"), (9000, "2.5 h left")]
)
def test_time_left(seconds: float, words: str) -> None:
    assert time_left(seconds) == words
