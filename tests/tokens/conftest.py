"""Tokenizer folders, written once a run: CLIP's own vocabulary, and a small one trained here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nutshell.tokens import Tokenizer
from nutshell.tokens.bundled import _byte_symbols, _read_merges

TEXTS = [
    "a photograph of an astronaut riding a horse, highly detailed, sharp focus",
    "a cat and a dog in a garden, oil painting, golden hour, 4k",
    "the old house by the sea; it's raining, they're waiting (really)!",
    "portrait of a woman with a hat, studio light, bokeh, 35mm film",
] * 5


def _write_folder(folder: Path, table: Mapping[str, int], merges: list[tuple[str, str]], **config: object) -> Path:
    """vocab.json and merges.txt, and tokenizer_config.json where there is a config."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(table), encoding="utf-8")
    rows = [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *rows, ""]), encoding="utf-8")
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def write_folder() -> Callable[..., Path]:
    return _write_folder


@pytest.fixture(scope="session")
def clip_table() -> tuple[dict[str, int], list[tuple[str, str]]]:
    merges = _read_merges()
    symbols = _byte_symbols()
    tokens = symbols + [f"{symbol}</w>" for symbol in symbols] + ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}, merges


@pytest.fixture(scope="session")
def small_table() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A few hundred tokens, trained; most bytes have no token of their own at a word's end."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    trained = Tokenizer(BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = BpeTrainer(
        vocab_size=450,
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        show_progress=False,
    )
    trained.train_from_iterator(TEXTS, trainer)
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory, small_table: tuple) -> Path:
    return _write_folder(tmp_path_factory.mktemp("small"), *small_table, model_max_length=32)


@pytest.fixture(scope="session")
def small(small_folder: Path) -> Tokenizer:
    return Tokenizer.from_folder(small_folder)


@pytest.fixture(scope="session")
def clip() -> Tokenizer:
    return Tokenizer.bundled()
