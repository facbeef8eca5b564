"""The model's own small CLIP vocabulary: byte-level BPE, `</w>` at a word's end, lower case.

English merges are learned from the captions. Chinese is merged by rule: one character, one token,
so that a sentence never met before still falls into known pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

WORD_END = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
# CLIP's split of a text into words (openai/CLIP, simple_tokenizer.py).
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte, in the order of CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [value for value in range(256) if value not in printable]
    letters = {value: chr(value) for value in printable}
    return letters | {value: chr(256 + place) for place, value in enumerate(others)}


def english_merges(captions: Iterable[str], most: int) -> list[tuple[str, str]]:
    """Merges learned from the ASCII captions."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    tokenizer.normalizer = normalizers.Lowercase()
    split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, letters])
    trainer = trainers.BpeTrainer(vocab_size=256 + 64 + most, end_of_word_suffix=WORD_END, show_progress=False)
    tokenizer.train_from_iterator((text for text in captions if text.isascii()), trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges][:most]


def chinese_merges(captions: Iterable[str]) -> list[tuple[str, str]]:
    """Merges that make one token of each character met, inside a word and at its end."""
    merges: dict[tuple[str, str], None] = {}
    letter_of = byte_letters()
    for char in sorted({char for text in captions for char in text if not char.isascii()}):
        letters = [letter_of[value] for value in char.encode("utf-8")]
        whole = letters[0]
        for letter in letters[1:-1]:
            merges[(whole, letter)] = None
            whole += letter
        merges[(whole, letters[-1])] = None
        merges[(whole, letters[-1] + WORD_END)] = None
    return list(merges)


def write_vocabulary(captions: list[str], folder: Path, max_length: int, most_english: int) -> int:
    """Write the four files of a CLIP tokenizer; return the number of entries."""
    merges = english_merges(captions, most_english) + chinese_merges(captions)
    letters = list(byte_letters().values())
    entries = [*letters, *(letter + WORD_END for letter in letters)]
    entries += [entry for entry in dict.fromkeys(left + right for left, right in merges) if entry not in set(entries)]
    entries += [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {entry: place for place, entry in enumerate(entries)}
    _write_json(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": max_length,
            "do_lower_case": True,
            "add_prefix_space": False,
            "errors": "replace",
            **special,
        },
    )
    return len(entries)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
