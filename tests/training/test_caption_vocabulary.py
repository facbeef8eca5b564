"""The recipe's vocabulary: what `CLIPTokenizer` reads back is what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from training.artist.vocabulary import END, START, byte_letters, write_vocabulary  # noqa: E402

CAPTIONS = ["a cat wearing sunglasses", "a cat on a blue background", "戴墨镜的猫", "猫，蓝色背景"] * 5


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> transformers.CLIPTokenizer:
    folder: Path = tmp_path_factory.mktemp("vocabulary")
    size = write_vocabulary(CAPTIONS, folder, max_length=32, most_english=100)
    loaded = transformers.CLIPTokenizer.from_pretrained(folder)
    assert len(loaded) == size
    return loaded


def test_every_byte_has_a_letter_of_its_own() -> None:
    letters = byte_letters()
    assert sorted(letters) == list(range(256))
    assert len(set(letters.values())) == 256


def test_special_tokens_are_the_last_two_entries(tokenizer: transformers.CLIPTokenizer) -> None:
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (START, END, END)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (len(tokenizer) - 2, len(tokenizer) - 1)
    assert tokenizer("").input_ids == [tokenizer.bos_token_id, tokenizer.eos_token_id]


def test_a_common_english_word_and_a_chinese_character_are_one_token(tokenizer: transformers.CLIPTokenizer) -> None:
    assert len(tokenizer("a cat").input_ids) == 4
    assert len(tokenizer("戴墨镜的猫").input_ids) == 2 + 5


def test_any_text_falls_into_known_pieces(tokenizer: transformers.CLIPTokenizer) -> None:
    text = "two zebras, 未知!"
    pieces = tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids)[1:-1]
    value_of = {letter: value for value, letter in byte_letters().items()}
    letters = "".join(pieces).replace("</w>", "")
    assert bytes(value_of[letter] for letter in letters).decode() == text.replace(" ", "")
