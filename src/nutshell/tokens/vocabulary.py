"""CLIP's byte-level byte-pair encoding, run by the `tokenizers` library.

The steps are those of transformers' `CLIPTokenizer` (5.x), so ids are the same, token for token:
NFC, runs of white space to one space, lower case; split into words, single digits and runs of other
signs; bytes; merges, with `</w>` at a word's end. OpenAI's first tokenizer also repaired mojibake
(ftfy) and read HTML entities; transformers does not, nor does this one.

Added tokens are found in the text before all that. So with the padding "!" of SD 2.x every "!" of a
prompt becomes padding (id 0), and `<|endoftext|>` in a prompt becomes the end token: transformers'
behaviour, kept because pictures are compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nutshell.errors import CorruptFile
from nutshell.language import tr
from nutshell.tokens.chunks import SpecialIds

START_TOKEN = "<|startoftext|>"
END_TOKEN = "<|endoftext|>"

_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_SOURCE = tr("the vocabulary")
_HINT = tr("the tokenizer's files are damaged or do not belong together: download them again")


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens by name; `unknown` stands for a byte that the vocabulary lacks."""

    start: str = START_TOKEN
    end: str = END_TOKEN
    pad: str = END_TOKEN
    unknown: str = END_TOKEN


@dataclass(frozen=True)
class AddedToken:
    """A token found in the text as it is, before any splitting; fields as in the `tokenizers` library."""

    content: str
    special: bool = True
    normalized: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """Text to ids. `size` is one more than the largest id, the rows of the text encoder's table."""

    size: int
    special: SpecialIds
    comma_id: int | None
    text_to_ids: Callable[[str], list[int]]


def build_vocabulary(
    table: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    special: SpecialTokens,
    added: Iterable[tuple[AddedToken, int | None]] = (),
    source: str = _SOURCE,
) -> Vocabulary:
    """A vocabulary of a table and its merges, best first.

    `added` are tokens with the id they must get (None: the table has them). `source` names the files in an error.
    """
    if special.unknown not in table:
        raise CorruptFile(
            tr("{source} has no token {unknown!r} for what it does not know", source=source, unknown=special.unknown),
            _HINT,
        )
    backend = _backend(table, merges, special.unknown, source)
    for token, wanted_id in added:
        if wanted_id is None and token.content not in table:
            # The library would give it a new id, for which the text encoder has no vector.
            raise CorruptFile(tr("{source} has no token {content!r}", source=source, content=token.content), _HINT)
        _add(backend, token, wanted_id, source)

    def id_of(token: str) -> int:
        found: int | None = backend.token_to_id(token)
        if found is None:
            raise CorruptFile(tr("{source} has no token {token!r}", source=source, token=token), _HINT)
        return found

    def text_to_ids(text: str) -> list[int]:
        # Half a surrogate pair is legal in a str, and no UTF-8: such a half becomes U+FFFD.
        clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        ids: list[int] = backend.encode(clean, add_special_tokens=False).ids
        return ids

    ids = backend.get_vocab(with_added_tokens=True)
    return Vocabulary(
        size=max(ids.values()) + 1,
        special=SpecialIds(start=id_of(special.start), end=id_of(special.end), pad=id_of(special.pad)),
        comma_id=ids.get(",</w>"),
        text_to_ids=text_to_ids,
    )


def _backend(table: Mapping[str, int], merges: Sequence[tuple[str, str]], unknown: str, source: str) -> Any:
    # Imported here: the library takes 20 ms, and importing a room does nothing.
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    try:
        model = BPE(
            vocab=dict(table),
            merges=list(merges),
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
            unk_token=unknown,
        )
    except Exception as error:  # the library raises nothing narrower
        raise CorruptFile(
            tr("{source} is no byte-pair vocabulary: {error}", source=source, error=error), _HINT
        ) from error
    backend = Tokenizer(model)
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return backend


def _add(backend: Any, token: AddedToken, wanted_id: int | None, source: str) -> None:
    import tokenizers

    library_token = tokenizers.AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized,
        special=token.special,
    )
    if token.special:
        backend.add_special_tokens([library_token])
    else:
        backend.add_tokens([library_token])
    found: int | None = backend.token_to_id(token.content)
    if wanted_id is not None and found != wanted_id:
        raise CorruptFile(
            tr(
                "{source} gives {content!r} the id {wanted_id}, its place is {found}",
                source=source,
                content=token.content,
                wanted_id=wanted_id,
                found=found,
            ),
            _HINT,
        )
