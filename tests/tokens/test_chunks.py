"""Chunks: every token kept and in order, weights beside their tokens, splits where the rules say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutshell.tokens import SpecialIds, TokenChunks, Tokenizer, pad_chunks
from nutshell.tokens.chunks import Token, chunk_tokens

SPECIAL = SpecialIds(start=1000, end=1001, pad=1002)
COMMA = 7

# Tokens in groups; the members of a group after the first are joined to it.
GROUPS = st.lists(st.lists(st.tuples(st.integers(0, 9), st.floats(-2, 2, width=32)), min_size=1, max_size=4))
SECTIONS = st.lists(
    GROUPS.map(
        lambda groups: [
            Token(index if len(group) == 1 else 500, weight, joined=place > 0)
            for group in groups
            for place, (index, weight) in enumerate(group)
        ]
    ),
    max_size=4,
)


def unframed(chunks: TokenChunks) -> list[list[tuple[int, float]]]:
    """(id, weight) of each chunk's tokens, without its frame."""
    rows = zip(chunks.ids.tolist(), chunks.weights.tolist(), chunks.end_positions.tolist(), strict=True)
    return [list(zip(ids[1:end], weights[1:end], strict=True)) for ids, weights, end in rows]


def plain(ids: list[int], **options: int) -> list[list[int]]:
    chunks = chunk_tokens([[Token(index, 1.0) for index in ids]], SPECIAL, max_length=12, comma_id=COMMA, **options)
    return [[index for index, _ in row] for row in unframed(chunks)]


@given(SECTIONS, st.integers(3, 40), st.sampled_from([0, 3, 20]))
@settings(max_examples=400, deadline=None)
def test_every_token_is_kept_in_order(sections: list[list[Token]], max_length: int, backtrack: int) -> None:
    chunks = chunk_tokens(sections, SPECIAL, max_length, COMMA, backtrack)
    assert chunks.ids.shape == chunks.weights.shape == (len(chunks), max_length)
    assert (chunks.ids.dtype, chunks.weights.dtype) == (np.int64, np.float32)
    rows = unframed(chunks)
    assert [pair for row in rows for pair in row] == [
        (token.id, token.weight) for section in sections for token in section
    ]
    assert all(rows) or rows == [[]]
    for row, ids, weights in zip(rows, chunks.ids.tolist(), chunks.weights.tolist(), strict=True):
        padding = max_length - len(row) - 2
        assert ids[0] == SPECIAL.start
        assert ids[len(row) + 1 :] == [SPECIAL.end] + [SPECIAL.pad] * padding
        assert [weights[0], *weights[len(row) + 1 :]] == [1] * (padding + 2)


@given(SECTIONS, st.integers(6, 40))
@settings(max_examples=200, deadline=None)
def test_a_placeholder_is_never_parted(sections: list[list[Token]], max_length: int) -> None:
    """Groups here have at most 4 tokens, and a chunk of 6 holds 4."""
    chunks = chunk_tokens(sections, SPECIAL, max_length, COMMA)
    starts = set(np.cumsum([0] + [len(row) for row in unframed(chunks)]).tolist())
    tokens = [token for section in sections for token in section]
    assert not any(token.joined for index, token in enumerate(tokens) if index in starts)


def test_a_full_chunk_is_one_chunk() -> None:
    assert plain([1] * 10) == [[1] * 10]
    assert plain([1] * 11) == [[1] * 10, [1]]


def test_a_split_goes_after_the_last_comma_nearby() -> None:
    ids = [1, COMMA, 2, 2, COMMA, 3, 3, 3, 3, 3, 3, 3]
    assert plain(ids) == [[1, COMMA, 2, 2, COMMA], [3] * 7]
    assert plain(ids, comma_backtrack=6) == [[1, COMMA, 2, 2, COMMA], [3] * 7]
    # The comma lies further back than is looked.
    assert plain(ids, comma_backtrack=5) == [ids[:10], ids[10:]]
    assert plain(ids, comma_backtrack=0) == [ids[:10], ids[10:]]


def test_a_phrase_that_ends_at_the_edge_stays() -> None:
    ids = [1, COMMA, *[2] * 8, COMMA, 3]
    assert plain(ids) == [ids[:10], ids[10:]]


def test_a_comma_as_last_token_needs_no_split_earlier() -> None:
    assert plain([*[1] * 9, COMMA, 2]) == [[*[1] * 9, COMMA], [2]]
    # Nothing follows: nothing moves.
    assert plain([COMMA, *[1] * 9]) == [[COMMA, *[1] * 9]]


def test_a_placeholder_longer_than_a_chunk_is_parted() -> None:
    tokens = [Token(500 + place, 1.0, joined=place > 0) for place in range(25)]
    chunks = chunk_tokens([tokens], SPECIAL, max_length=12)
    assert [len(row) for row in unframed(chunks)] == [10, 10, 5]


def test_a_chunk_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        chunk_tokens([], SPECIAL, max_length=2)


def test_breaks_start_chunks_and_empty_ones_give_none(small: Tokenizer) -> None:
    assert len(small.encode("a cat BREAK a dog")) == 2
    assert len(small.encode("BREAK a cat BREAK BREAK a dog BREAK")) == 2
    assert len(small.encode("BREAK BREAK")) == len(small.encode("")) == 1
    assert len(small.encode("a cat BREAK a dog", weighting=False)) == 1


def test_weights_stand_beside_their_tokens(clip: Tokenizer) -> None:
    chunks = clip.encode("a (red cat:1.5), [dog]")
    assert chunks.ids[0, 1:6].tolist() == clip.encode("a red cat, dog").ids[0, 1:6].tolist()
    assert chunks.weights[0, :8].tolist() == pytest.approx([1, 1, 1.5, 1.5, 1, 1 / 1.1, 1, 1])
    assert clip.count("a (red cat:1.5), [dog]") == 5
    assert clip.count("a (red cat:1.5), [dog]", weighting=False) > 5


def test_a_long_prompt_becomes_more_chunks(clip: Tokenizer) -> None:
    assert clip.encode("cat " * 75).ids.shape == (1, 77)
    chunks = clip.encode("cat " * 200)
    assert chunks.ids.shape == (3, 77)
    assert int((chunks.ids == 2368).sum()) == 200 == clip.count("cat " * 200)


@pytest.mark.parametrize(("first", "second"), [("cat " * 200, ""), ("", "cat " * 80), ("a", "b")])
def test_two_prompts_become_equally_long(clip: Tokenizer, first: str, second: str) -> None:
    a, b = clip.encode(first), clip.encode(second)
    most = max(len(a), len(b))
    padded_a, padded_b = pad_chunks(a, b)
    empty = clip.encode("").ids[0].tolist()
    for before, after in ((a, padded_a), (b, padded_b)):
        assert len(after) == most
        assert after.ids[: len(before)].tolist() == before.ids.tolist()
        assert after.weights[: len(before)].tolist() == before.weights.tolist()
        assert after.ids[len(before) :].tolist() == [empty] * (most - len(before))
        assert (after.weights[len(before) :] == 1).all()


def test_chunks_of_two_tokenizers_are_not_padded(clip: Tokenizer, small: Tokenizer) -> None:
    with pytest.raises(ValueError, match="different tokenizers"):
        pad_chunks(clip.encode("a"), small.encode("a"))


def test_chunks_cannot_be_changed(clip: Tokenizer) -> None:
    chunks = clip.encode("a cat")
    with pytest.raises(ValueError, match="read-only"):
        chunks.ids[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        chunks.weights[0, 0] = 1


def test_the_end_is_where_the_prompt_ends(clip: Tokenizer) -> None:
    tokenizer = clip.with_placeholders({"<toy>": 3})
    assert tokenizer.encode("a <toy> cat BREAK dog").end_positions.tolist() == [6, 2]
