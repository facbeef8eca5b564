"""The tokenizer folder of a checkpoint, in any of the forms that transformers has written:

- `vocab.json` and `merges.txt`, or a `tokenizer.json` that holds both;
- `tokenizer_config.json` (length, special tokens, added tokens), `special_tokens_map.json` and
  `added_tokens.json`: all optional.

Every field is checked, as a folder may come from anywhere: what does not fit is a CorruptFile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nutshell.errors import CorruptFile, ModelNotFound, UnsupportedModel
from nutshell.language import join, tr
from nutshell.tokens.vocabulary import AddedToken, SpecialTokens, Vocabulary, build_vocabulary

Json = Mapping[str, object]

DEFAULT_MAX_LENGTH = 77
# transformers writes 1e30 for "not known"; no text encoder of this kind reads more than 248 tokens.
_LONGEST = 100_000
_LARGEST_FILE_BYTES = 64_000_000
_HINT = tr("the tokenizer's files are damaged or do not belong together: download them again")


@dataclass(frozen=True)
class TokenizerFolder:
    """What a folder says: its vocabulary, and the length of a chunk in tokens."""

    vocabulary: Vocabulary
    max_length: int


def read_folder(path: Path) -> TokenizerFolder:
    """Read a checkpoint's `tokenizer/` folder."""
    if not path.is_dir():
        raise ModelNotFound(
            tr("there is no tokenizer folder {path}", path=path),
            hint=tr("check the model's path, or download it again"),
        )
    whole = _read_object(path / "tokenizer.json")
    table, merges = _read_model(path, whole)
    config = _read_object(path / "tokenizer_config.json")
    named = {**_read_object(path / "special_tokens_map.json"), **config}
    special = SpecialTokens(
        start=_named(named, "bos_token", SpecialTokens.start),
        end=_named(named, "eos_token", SpecialTokens.end),
        pad=_named(named, "pad_token", SpecialTokens.pad),
        unknown=_named(named, "unk_token", SpecialTokens.unknown),
    )
    added = _added_tokens(path, whole, config, named, special)
    vocabulary = build_vocabulary(table, merges, special, added, source=str(path))
    return TokenizerFolder(vocabulary, _max_length(config, path))


def _read_model(path: Path, whole: Json) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The table and the merges, wherever the folder keeps them."""
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        table = _table(_read_object(path / "vocab.json"), path / "vocab.json")
        lines = _read_text(path / "merges.txt").split("\n")
        rows = [line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#version")]
        return table, [_merge(row, path / "merges.txt") for row in rows]
    if not whole:
        missing = [name for name in ("vocab.json", "merges.txt") if not (path / name).is_file()]
        raise ModelNotFound(
            tr("{path} has no {missing}, nor a tokenizer.json", path=path, missing=join(" and no ", missing)),
            hint=tr("download the model's tokenizer folder again"),
        )
    file = path / "tokenizer.json"
    model = _object(whole.get("model"), file)
    if model.get("type", "BPE") != "BPE":
        raise UnsupportedModel(
            tr("{file} is a tokenizer of kind {model!r}; only CLIP's BPE is read", file=file, model=model["type"])
        )
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise CorruptFile(tr("{file} has no list of merges", file=file), _HINT)
    return _table(_object(model.get("vocab"), file), file), [_merge(row, file) for row in merges]


def _table(entries: Json, file: Path) -> dict[str, int]:
    table: dict[str, int] = {}
    for token, index in entries.items():
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 2**31:
            raise CorruptFile(
                tr(
                    "{file} gives the token {token!r} the id {index!r}, which is none",
                    file=file,
                    token=token,
                    index=index,
                ),
                _HINT,
            )
        table[token] = index
    if not any(token.endswith("</w>") for token in table):
        raise UnsupportedModel(tr("{file} is no CLIP vocabulary: no token ends a word (</w>)", file=file))
    return table


def _merge(row: object, file: Path) -> tuple[str, str]:
    pair = row.split(" ") if isinstance(row, str) else row
    if isinstance(pair, list) and len(pair) == 2:
        left, right = pair
        if isinstance(left, str) and isinstance(right, str):
            return left, right
    raise CorruptFile(tr("{file} has a merge that is not a pair: {row!r:.80}", file=file, row=row), _HINT)


def _added_tokens(
    path: Path, whole: Json, config: Json, named: Json, special: SpecialTokens
) -> list[tuple[AddedToken, int | None]]:
    """The special tokens and any others that the folder adds, in the order of their ids."""
    flags: dict[str, Json] = {}
    roles = {"bos_token": special.start, "eos_token": special.end, "unk_token": special.unknown}
    for role, content in {**roles, "pad_token": special.pad}.items():
        # A token may have several roles, with different flags: transformers lets the last one win.
        entry = named.get(role)
        flags[content] = entry if isinstance(entry, Mapping) else {}
    ids: dict[str, int] = {}
    for content, index, entry in _listed_tokens(path, whole, config):
        ids[content] = index
        flags[content] = entry or flags.get(content, {"special": False, "normalized": True})
    always = {special.start, special.end, special.unknown, special.pad}
    tokens = [_added_token(content, entry, content in always) for content, entry in flags.items()]
    # Those with an id first, in its order: the library numbers new tokens as they come.
    return sorted(
        ((token, ids.get(token.content)) for token in tokens),
        key=lambda pair: (pair[1] is None, pair[1] or 0),
    )


def _listed_tokens(path: Path, whole: Json, config: Json) -> list[tuple[str, int, Json]]:
    """(content, id, flags) of the tokens that the files list beside the vocabulary; later files win."""
    found: list[tuple[str, int, Json]] = []
    file = path / "added_tokens.json"
    for content, index in _read_object(file).items():
        found.append((content, _index(index, file), {}))
    file = path / "tokenizer_config.json"
    for index, entry in _object(config.get("added_tokens_decoder", {}), file).items():
        flags = _object(entry, file)
        found.append((_content(flags, file), _index(index, file), flags))
    file = path / "tokenizer.json"
    listed = whole.get("added_tokens", [])
    for entry in listed if isinstance(listed, list) else []:
        flags = _object(entry, file)
        found.append((_content(flags, file), _index(flags.get("id"), file), flags))
    return found


def _added_token(content: str, flags: Json, always_special: bool) -> AddedToken:
    special = always_special or flags.get("special") is True
    return AddedToken(
        content,
        special=special,
        normalized=bool(flags.get("normalized", not special)),
        single_word=flags.get("single_word") is True,
        lstrip=flags.get("lstrip") is True,
        rstrip=flags.get("rstrip") is True,
    )


def _named(named: Json, role: str, default: str) -> str:
    """A special token's content: given as a string, or as an object with flags; null is the default."""
    entry = named.get(role)
    content = entry.get("content") if isinstance(entry, Mapping) else entry
    return content if isinstance(content, str) and content else default


def _max_length(config: Json, path: Path) -> int:
    length = config.get("model_max_length")
    if not isinstance(length, int | float) or isinstance(length, bool) or not length <= _LONGEST:
        return DEFAULT_MAX_LENGTH
    if length < 3 or length != int(length):
        raise CorruptFile(
            tr(
                "{path} says model_max_length {length}, which is no length",
                path=path / "tokenizer_config.json",
                length=length,
            ),
            _HINT,
        )
    return int(length)


def _index(value: object, file: Path) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
        return value
    raise CorruptFile(
        tr("{file} has an added token with the id {value}, which is none", file=file, value=repr(value)[:40]), _HINT
    )


def _content(flags: Json, file: Path) -> str:
    content = flags.get("content")
    if not isinstance(content, str) or not content:
        raise CorruptFile(tr("{file} has an added token without content", file=file), _HINT)
    return content


def _object(value: object, file: Path) -> Json:
    if not isinstance(value, dict):
        raise CorruptFile(tr("{file} has {name} where an object belongs", file=file, name=type(value).__name__), _HINT)
    return value


def _read_object(file: Path) -> Json:
    """A JSON object; an empty one where the file does not exist."""
    if not file.is_file():
        return {}
    try:
        value: object = json.loads(_read_text(file))
    except (ValueError, RecursionError) as error:
        raise CorruptFile(tr("{file} is no JSON: {error}", file=file, error=error), _HINT) from error
    return _object(value, file)


def _read_text(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST_FILE_BYTES:
            raise CorruptFile(tr("{file} is too large for a tokenizer's file", file=file), _HINT)
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile(tr("{file} is no UTF-8 text: {error}", file=file, error=error), _HINT) from error
    except OSError as error:
        raise ModelNotFound(
            tr("{file} cannot be read: {error}", file=file, error=error), hint=tr("check the file's permissions")
        ) from error
