"""Tokens of any number -> chunks of the text encoder's length.

A chunk is `start, up to max_length - 2 tokens, end, padding`. Nothing is ever cut off: a long prompt
becomes more chunks, which the text encoder reads one by one and the denoiser sees side by side.

Where a chunk is split:

1. at every BREAK, and where a chunk is full;
2. but if tokens follow a full chunk, and one of its last `comma_backtrack` tokens is a comma, what
   stands after that comma moves on, so that a phrase stays whole (unless the next token is itself a
   comma: then the phrase ends here anyway). The rule and its 20 are stable-diffusion-webui's;
3. never inside a placeholder, if the placeholder fits into a chunk at all.

A section without tokens (BREAK at the beginning, two in a row) gives no chunk of its own: each chunk
costs a pass of the text encoder and a longer attention at every step. No tokens at all give one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

COMMA_BACKTRACK = 20


@dataclass(frozen=True)
class SpecialIds:
    """The ids that frame a chunk."""

    start: int
    end: int
    pad: int


class Token(NamedTuple):
    """One token of a prompt; `joined` if it may not be parted from the token before it."""

    id: int
    weight: float
    joined: bool = False


@dataclass(frozen=True, eq=False)
class TokenChunks:
    """What the text encoder reads; both arrays are (chunks, max_length) and read-only.

    `ids` int64; `weights` float32, 1 for start, end and padding.
    """

    ids: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    special: SpecialIds

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    @property
    def max_length(self) -> int:
        return int(self.ids.shape[1])

    @property
    def end_positions(self) -> npt.NDArray[np.int64]:
        """Where each chunk ends, (chunks,): the first end token, whose vector is CLIP's pooled output.

        Not the largest id, as CLIP's first code has it: a placeholder's ids are larger.
        """
        positions: npt.NDArray[np.int64] = np.argmax(self.ids == self.special.end, axis=1).astype(np.int64)
        return positions


def chunk_tokens(
    sections: Sequence[Sequence[Token]],
    special: SpecialIds,
    max_length: int,
    comma_id: int | None = None,
    comma_backtrack: int = COMMA_BACKTRACK,
) -> TokenChunks:
    """Chunks of the sections' tokens, in order, each section in chunks of its own.

    `comma_backtrack=0` (or no `comma_id`) splits only where a chunk is full.
    """
    capacity = max_length - 2
    if capacity < 1:
        raise ValueError(f"a chunk of {max_length} has no room for a token between start and end")
    runs = [
        section[part]
        for section in sections
        if section
        for part in _parts(section, capacity, comma_id, comma_backtrack)
    ]
    return _framed(runs or [()], special, max_length)


def pad_chunks(a: TokenChunks, b: TokenChunks) -> tuple[TokenChunks, TokenChunks]:
    """Both with as many chunks as the longer one, filled up with chunks of an empty prompt.

    Guidance compares prompt and negative prompt, so their conditions must be of one length.
    """
    if a.max_length != b.max_length or a.special != b.special:
        raise ValueError("these chunks come from different tokenizers")
    most = max(len(a), len(b))
    return _extended(a, most), _extended(b, most)


def _parts(section: Sequence[Token], capacity: int, comma_id: int | None, backtrack: int) -> Iterator[slice]:
    start = 0
    while len(section) - start > capacity:
        end = _cut(section, start, start + capacity, comma_id, backtrack)
        yield slice(start, end)
        start = end
    yield slice(start, len(section))


def _cut(section: Sequence[Token], start: int, full: int, comma_id: int | None, backtrack: int) -> int:
    """Where the chunk from `start` ends, if it would be full at `full` and `section[full]` exists."""
    if comma_id is not None and section[full].id != comma_id:
        for index in range(full - 1, max(start, full - backtrack) - 1, -1):
            if section[index].id == comma_id:
                return index + 1
    end = full
    while end > start and section[end].joined:
        end -= 1
    # A placeholder longer than a whole chunk has to be parted somewhere.
    return end if end > start else full


def _framed(runs: Sequence[Sequence[Token]], special: SpecialIds, max_length: int) -> TokenChunks:
    ids = np.full((len(runs), max_length), special.pad, dtype=np.int64)
    weights = np.ones((len(runs), max_length), dtype=np.float32)
    ids[:, 0] = special.start
    for row, run in enumerate(runs):
        ids[row, 1 : len(run) + 1] = [token.id for token in run]
        weights[row, 1 : len(run) + 1] = [token.weight for token in run]
        ids[row, len(run) + 1] = special.end
    return _frozen(ids, weights, special)


def _extended(chunks: TokenChunks, count: int) -> TokenChunks:
    missing = count - len(chunks)
    if not missing:
        return chunks
    empty = _framed([()] * missing, chunks.special, chunks.max_length)
    ids = np.concatenate([chunks.ids, empty.ids])
    return _frozen(ids, np.concatenate([chunks.weights, empty.weights]), chunks.special)


def _frozen(ids: npt.NDArray[np.int64], weights: npt.NDArray[np.float32], special: SpecialIds) -> TokenChunks:
    ids.setflags(write=False)
    weights.setflags(write=False)
    return TokenChunks(ids, weights, special)
