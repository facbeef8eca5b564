"""Ids compared with transformers' CLIPTokenizer, on CLIP's vocabulary and on small ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutshell.tokens import Tokenizer

Writer = Callable[..., Path]

pytestmark = pytest.mark.reference

PROMPTS = [
    "",
    " ",
    "a photograph of an astronaut riding a horse",
    "A  Photo\tof\n the 'Mona Lisa's' smile, they'll we've I'M it's DON'T 1234 3.14 #tag @me",
    "一只可爱的猫，坐在月亮上。水墨画",
    "ねこ 고양이 кошка γάτα Ёлка İstanbul ẞtraße ﬁne Å Å",
    "🐱🚀👩‍👩‍👧‍👦 ❤️ 🇫🇷 e\u0301 e\u0301\u0302 \u0301alone a\u200db \u202eabc\ufeff",
    "fish &amp; chips &lt;b&gt; &#39;quoted&#39; &amp;amp;",
    "mojibake â€œquotesâ€\x9d cafÃ©",
    "\x00\x01\x1f\x7f\x85\xa0\u2028\u3000 between \x0b\x0c",
    "wow! really!! no!!! !",
    "<|endoftext|> a <|startoftext|>b<|EndOfText|>c <|endoftext|",
    "word</w> </w> <w/> ##",
    "½ ² ٣ Ⅷ ₂ 一二三 1st 2nd",
    "_under_score-dash…ellipsis—dash",
    "x" * 300,
]

# Ordinary characters, and those at which tokenizers differ.
ODD = st.sampled_from(list("!'’´<|>/\\()[]:,.&;#_-\u0301\u0308\u200d\ufe0f\u2028\x85\xa0\x00\x1f½²٣Ⅷ一猫🐱İßﬁſKẞ"))
WORDS = st.sampled_from(["'s", "'ll", "'RE", "cat", "Dog", "<|endoftext|>", "<|startoftext|>", "&amp;", "é", "e\u0301"])
STRINGS = st.one_of(st.text(), st.lists(st.one_of(WORDS, ODD, st.characters(codec="utf-8"), st.just(" "))).map("".join))

RELAXED = settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def flagged(content: str, normalized: bool = True) -> dict[str, object]:
    """A special token as the folders of SD 1.x and 2.x write it."""
    plain = {"lstrip": False, "rstrip": False, "single_word": False}
    return {"__type": "AddedToken", "content": content, "normalized": normalized, **plain}


def transformers_tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder)


def prompt_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.vocabulary.text_to_ids(text)


@pytest.fixture(scope="module")
def pairs(
    tmp_path_factory: pytest.TempPathFactory, write_folder: Writer, clip_table: tuple, small_folder: Path
) -> dict[str, tuple]:
    """(ours, transformers') by the kind of folder."""
    root = tmp_path_factory.mktemp("folders")
    start, end = "<|startoftext|>", "<|endoftext|>"
    named = {"bos_token": flagged(start), "eos_token": flagged(end), "unk_token": flagged(end)}
    sd1 = write_folder(root / "sd1", *clip_table, **named, pad_token=end, model_max_length=77)
    sd2 = write_folder(root / "sd2", *clip_table, **named, pad_token="!", model_max_length=77)
    folders = {"sd1": sd1, "sd2": sd2, "small": small_folder, "bare": write_folder(root / "bare", *clip_table)}
    both = {name: (Tokenizer.from_folder(path), transformers_tokenizer(path)) for name, path in folders.items()}
    # What transformers 5 itself saves: a tokenizer.json and no vocab.json.
    both["sd2"][1].save_pretrained(root / "saved")
    assert not (root / "saved" / "vocab.json").exists()
    both["saved"] = (Tokenizer.from_folder(root / "saved"), transformers_tokenizer(root / "saved"))
    both["bundled"] = (Tokenizer.bundled(), both["bare"][1])
    pad_zero = write_folder(root / "pad_zero", *clip_table, bos_token=start, eos_token=end, pad_token="!")
    both["bundled, pad 0"] = (Tokenizer.bundled(pad_id=0), transformers_tokenizer(pad_zero))
    return both


KINDS = ["sd1", "sd2", "small", "bare", "saved", "bundled", "bundled, pad 0"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_fixed_prompts(pairs: dict[str, tuple], kind: str, prompt: str) -> None:
    ours, theirs = pairs[kind]
    assert prompt_ids(ours, prompt) == theirs(prompt).input_ids[1:-1]


@pytest.mark.parametrize("kind", KINDS)
def test_special_ids_and_sizes(pairs: dict[str, tuple], kind: str) -> None:
    ours, theirs = pairs[kind]
    special = ours.vocabulary.special
    assert (special.start, special.end, special.pad) == (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id)
    assert ours.vocabulary_size == len(theirs)
    assert ours.max_length == (32 if kind == "small" else 77)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "small"])
@given(text=STRINGS)
@RELAXED
def test_random_strings(pairs: dict[str, tuple], kind: str, text: str) -> None:
    ours, theirs = pairs[kind]
    assert prompt_ids(ours, text) == theirs(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("kind", ["sd1", "sd2", "small", "bundled"])
@pytest.mark.parametrize("prompt", ["", "a cat", "a photo of an astronaut, riding a horse, on mars!"])
def test_a_short_prompt_is_padded_alike(pairs: dict[str, tuple], kind: str, prompt: str) -> None:
    ours, theirs = pairs[kind]
    want = theirs(prompt, padding="max_length", max_length=ours.max_length, truncation=True, return_tensors="np")
    chunks = ours.encode(prompt)
    assert (chunks.ids == want.input_ids).all()
    assert (chunks.weights == 1).all()


def test_added_tokens_of_a_folder(tmp_path: Path, write_folder: Writer, small_table: tuple) -> None:
    """A folder saved after textual inversion: the new word has an id after the vocabulary."""
    first = len(small_table[0])
    entry = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": True, "special": False}
    decoder = {str(first + i): {"content": word, **entry} for i, word in enumerate(["<Cat-Toy>", "<dog>"])}
    folder = write_folder(tmp_path, *small_table, model_max_length=32, added_tokens_decoder=decoder)
    ours, theirs = Tokenizer.from_folder(folder), transformers_tokenizer(folder)
    text = "a <cat-toy> and a <CAT-TOY><dog>"
    assert prompt_ids(ours, text) == theirs(text).input_ids[1:-1]
    assert {first, first + 1} <= set(prompt_ids(ours, text))
    assert ours.vocabulary_size == len(theirs) == first + 2
    assert ours.with_placeholders({"new": 1}).placeholders == {"new": (first + 2,)}
