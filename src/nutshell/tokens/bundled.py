"""CLIP's own vocabulary, bundled for checkpoints that come as one file, without a tokenizer.

Every Stable Diffusion so far uses it; SD 2.x and SDXL's second encoder only pad with id 0 ("!").
"""

from __future__ import annotations

import functools
import json
from itertools import islice
from pathlib import Path

from nutshell.errors import CorruptFile, UsageError
from nutshell.language import tr
from nutshell.tokens.vocabulary import (
    END_TOKEN,
    START_TOKEN,
    AddedToken,
    SpecialTokens,
    Vocabulary,
    build_vocabulary,
)

_FILE = "bpe_simple_vocab_16e6.txt.gz"
# 49408 tokens: 256 bytes, the same at a word's end, the merges, start and end.
_MERGES = 49408 - 2 * 256 - 2
END_ID = 49407


@functools.cache
def bundled_vocabulary(pad_id: int = END_ID) -> Vocabulary:
    """The vocabulary of 49408 tokens, padded with `pad_id` (49407 in SD 1.x, 0 in SD 2.x); read once, 0.2 s."""
    merges = _read_merges()
    symbols = _byte_symbols()
    tokens = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *map("".join, merges), START_TOKEN, END_TOKEN]
    if not 0 <= pad_id < len(tokens):
        raise UsageError(
            tr("the vocabulary has no id {pad_id}", pad_id=pad_id),
            hint=tr("ids go from 0 to {count}", count=len(tokens) - 1),
        )
    special = SpecialTokens(pad=tokens[pad_id])
    added = [(AddedToken(content), None) for content in dict.fromkeys((START_TOKEN, END_TOKEN, special.pad))]
    table = {token: index for index, token in enumerate(tokens)}
    return build_vocabulary(table, merges, special, added, source=tr("the bundled vocabulary"))


def write_bundled(folder: Path, pad_id: int | None = None) -> None:
    """Write the vocabulary as transformers reads it: vocab.json, merges.txt, tokenizer_config.json.

    pad_id: None for the end token, as SD 1.x has it. Raises OSError.
    """
    merges, symbols = _read_merges(), _byte_symbols()
    tokens = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *map("".join, merges), START_TOKEN, END_TOKEN]
    (folder / "vocab.json").write_text(
        json.dumps({token: place for place, token in enumerate(tokens)}, ensure_ascii=False), encoding="utf-8"
    )
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": START_TOKEN,
        "eos_token": END_TOKEN,
        "unk_token": END_TOKEN,
        "pad_token": END_TOKEN if pad_id is None else tokens[pad_id],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def _read_merges() -> list[tuple[str, str]]:
    import gzip
    import zlib
    from importlib import resources

    hint = tr("the installation is damaged: install nutshell again")
    try:
        with (
            resources.files(__package__).joinpath("data", _FILE).open("rb") as packed,
            gzip.open(packed, "rt", encoding="utf-8") as lines,
        ):
            # The first line is a title; more merges follow than CLIP was trained with.
            merges = [_pair(line) for line in islice(lines, 1, _MERGES + 1)]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise CorruptFile(tr("the bundled vocabulary cannot be read: {error}", error=error), hint) from error
    if len(merges) != _MERGES:
        raise CorruptFile(
            tr("the bundled vocabulary has {count} merges instead of {merges}", count=len(merges), merges=_MERGES), hint
        )
    return merges


def _pair(line: str) -> tuple[str, str]:
    left, right = line.split()
    return left, right


def _byte_symbols() -> list[str]:
    """The 256 characters that stand for bytes, in the order of their ids (Radford et al. 2019, GPT-2).

    Printable Latin-1 characters stand for themselves and come first; the other bytes, in order, are
    U+0100 and up. A merge file can so be plain text without white space or control characters.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(code) for code in printable] + [chr(0x100 + rank) for rank in range(256 - len(printable))]
