"""Prompts to token ids: CLIP's byte-pair encoding, prompt weights, chunks, placeholders.

Begin with `Tokenizer`; then `weighting`, `chunks`, `vocabulary`. Importing this loads no library but NumPy.
"""

from nutshell.tokens.chunks import SpecialIds, TokenChunks, pad_chunks
from nutshell.tokens.embedding import apply_weights, join_chunks
from nutshell.tokens.tokenizer import Tokenizer
from nutshell.tokens.weighting import Piece, escape, parse_prompt

__all__ = [
    "Piece",
    "SpecialIds",
    "TokenChunks",
    "Tokenizer",
    "apply_weights",
    "escape",
    "join_chunks",
    "pad_chunks",
    "parse_prompt",
]
