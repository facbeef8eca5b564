"""The tokenizer: a prompt -> weighted chunks of token ids.

The way, with the file of each step: prompt -> sections of weighted pieces (weighting) -> text and
placeholders (placeholders) -> ids (vocabulary) -> chunks (chunks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.tokens.bundled import END_ID, bundled_vocabulary
from nutshell.tokens.chunks import COMMA_BACKTRACK, Token, TokenChunks, chunk_tokens
from nutshell.tokens.folder import DEFAULT_MAX_LENGTH, read_folder
from nutshell.tokens.placeholders import Ids, Placeholders
from nutshell.tokens.vocabulary import Vocabulary
from nutshell.tokens.weighting import Piece, Section, parse_prompt


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """Immutable, so any number of threads may share one. Make it by `from_folder` or `bundled`."""

    vocabulary: Vocabulary
    max_length: int
    _placeholders: Placeholders = field(default_factory=lambda: Placeholders({}))

    def __post_init__(self) -> None:
        if self.max_length < 3:
            raise UsageError(
                tr("a chunk of {max_length} tokens has no room for a word", max_length=self.max_length),
                hint=tr("give the text encoder's length, 77 for Stable Diffusion"),
            )

    @classmethod
    def from_folder(cls, path: str | Path, max_length: int | None = None) -> Tokenizer:
        """The tokenizer of a checkpoint's `tokenizer/` folder; `max_length` overrides what the folder says."""
        folder = read_folder(Path(path))
        return cls(folder.vocabulary, folder.max_length if max_length is None else max_length)

    @classmethod
    def bundled(cls, max_length: int = DEFAULT_MAX_LENGTH, pad_id: int = END_ID) -> Tokenizer:
        """CLIP's own vocabulary; `pad_id` is 49407 for SD 1.x and 0 for SD 2.x and SDXL's second encoder."""
        return cls(bundled_vocabulary(pad_id), max_length)

    @property
    def vocabulary_size(self) -> int:
        """Rows of the text encoder's own embedding table; placeholders' ids begin here."""
        return self.vocabulary.size

    @property
    def placeholders(self) -> Mapping[str, Ids]:
        """Each placeholder's ids, in the order in which their vectors follow the embedding table."""
        return dict(self._placeholders.ids)

    def with_placeholders(self, counts: Mapping[str, int]) -> Tokenizer:
        """One that also reads these words, name -> number of vectors, as ids from `vocabulary_size` on."""
        return replace(self, _placeholders=self._placeholders.extended(counts, self.vocabulary_size))

    def encode(self, prompt: str, weighting: bool = True, comma_backtrack: int = COMMA_BACKTRACK) -> TokenChunks:
        """Chunks of the prompt; `weighting=False` reads brackets and BREAK as text."""
        return chunk_tokens(
            self._tokens(prompt, weighting),
            self.vocabulary.special,
            self.max_length,
            self.vocabulary.comma_id,
            comma_backtrack,
        )

    def count(self, prompt: str, weighting: bool = True) -> int:
        """How many tokens the prompt itself has, without start, end and padding."""
        return sum(map(len, self._tokens(prompt, weighting)))

    def _tokens(self, prompt: str, weighting: bool) -> list[Sequence[Token]]:
        sections: tuple[Section, ...] = parse_prompt(prompt) if weighting else ((Piece(prompt, 1.0),),)
        return [[token for piece in section for token in self._piece_tokens(piece)] for section in sections]

    def _piece_tokens(self, piece: Piece) -> Iterator[Token]:
        for part in self._placeholders.split(piece.text):
            if isinstance(part, str):
                yield from (Token(index, piece.weight) for index in self.vocabulary.text_to_ids(part))
            else:
                yield from (Token(index, piece.weight, joined=place > 0) for place, index in enumerate(part))
