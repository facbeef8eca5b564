"""The bundled vocabulary, folders, and what is wrong with a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nutshell.errors import CorruptFile, ModelError, ModelNotFound, UnsupportedModel, UsageError
from nutshell.tokens import Tokenizer

Writer = Callable[..., Path]


def test_the_bundled_vocabulary_is_clips(clip: Tokenizer) -> None:
    assert clip.vocabulary_size == 49408
    assert (clip.vocabulary.special.start, clip.vocabulary.special.end) == (49406, 49407)
    assert clip.vocabulary.comma_id == 267
    # The ids of this prompt stand in many a tutorial.
    ids = clip.encode("a photo of a cat").ids[0]
    assert ids[:7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert set(ids[7:].tolist()) == {49407}


def test_padding_of_sd2() -> None:
    ids = Tokenizer.bundled(pad_id=0).encode("cat").ids[0]
    assert ids.tolist() == [49406, 2368, 49407] + [0] * 74


def test_bundled_is_read_once() -> None:
    assert Tokenizer.bundled().vocabulary is Tokenizer.bundled(max_length=10).vocabulary


@pytest.mark.parametrize("arguments", [{"pad_id": 49408}, {"pad_id": -1}, {"max_length": 2}])
def test_bundled_refuses(arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        Tokenizer.bundled(**arguments)
    assert caught.value.hint


def test_half_a_surrogate_pair_is_no_error(clip: Tokenizer) -> None:
    assert clip.encode("a \ud83d cat").ids[0].tolist() == clip.encode("a \ufffd cat").ids[0].tolist()


def test_a_folders_length_and_its_override(small: Tokenizer, small_folder: Path) -> None:
    assert small.max_length == 32
    assert small.encode("a cat").ids.shape == (1, 32)
    assert Tokenizer.from_folder(str(small_folder), max_length=16).encode("a cat").ids.shape == (1, 16)


@pytest.mark.parametrize("length", [None, 10**30, 1e30, "long", float("inf")])
def test_an_unknown_length_is_77(tmp_path: Path, write_folder: Writer, small_table: tuple, length: object) -> None:
    folder = write_folder(tmp_path, *small_table, model_max_length=length)
    assert Tokenizer.from_folder(folder).max_length == 77


def test_one_tokenizer_in_many_threads(clip: Tokenizer) -> None:
    prompts = [f"{'very ' * n}(good:1.{n}) picture, number {n}" for n in range(60)]
    alone = [clip.encode(prompt).ids.tolist() for prompt in prompts]
    with ThreadPoolExecutor(4) as pool:
        assert [chunks.ids.tolist() for chunks in pool.map(clip.encode, prompts)] == alone


def test_a_missing_folder_or_file(tmp_path: Path, write_folder: Writer, small_table: tuple) -> None:
    with pytest.raises(ModelNotFound, match="no tokenizer folder"):
        Tokenizer.from_folder(tmp_path / "nowhere")
    folder = write_folder(tmp_path / "half", *small_table)
    (folder / "merges.txt").unlink()
    with pytest.raises(ModelNotFound, match=r"no merges\.txt") as caught:
        Tokenizer.from_folder(folder)
    assert caught.value.hint


DEEP = '{"a":' * 100_000


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("vocab.json", b""),
        ("vocab.json", b'{"a": 1, '),
        ("vocab.json", b"[1, 2]"),
        ("vocab.json", b'{"a</w>": "one"}'),
        ("vocab.json", b'{"a</w>": -1}'),
        ("vocab.json", b'{"a</w>": true}'),
        ("vocab.json", b'{"a</w>": 99999999999999999999}'),
        ("vocab.json", b'{"a</w>": 0}'),
        ("vocab.json", b"\xff\xfe\x00"),
        ("vocab.json", DEEP.encode()),
        ("merges.txt", b"#version: 0.2\na b c\n"),
        ("merges.txt", b"#version: 0.2\nalone\n"),
        ("merges.txt", b"#version: 0.2\nnot-there neither\n"),
        ("merges.txt", b"\xff\xff"),
        ("tokenizer_config.json", b"{"),
        ("tokenizer_config.json", b'"text"'),
        ("tokenizer_config.json", b'{"model_max_length": 2}'),
        ("tokenizer_config.json", b'{"model_max_length": 7.5}'),
        ("tokenizer_config.json", b'{"model_max_length": -1e400}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": {"x": {"content": "y"}}}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": {"100000": {"content": "y"}}}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": {"450": {}}}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": [1]}'),
        ("tokenizer_config.json", b'{"pad_token": "<|pad|>"}'),
        ("tokenizer_config.json", b'{"unk_token": "?!?"}'),
        ("tokenizer_config.json", b'{"unk_token": "?!?", "added_tokens_decoder": {"450": {"content": "?!?"}}}'),
        ("added_tokens.json", b'{"x": -1}'),
        ("special_tokens_map.json", b"null"),
        ("tokenizer.json", b"{]"),
    ],
)
def test_a_damaged_folder(tmp_path: Path, write_folder: Writer, small_table: tuple, file: str, content: bytes) -> None:
    folder = write_folder(tmp_path, *small_table)
    (folder / file).write_bytes(content)
    with pytest.raises(CorruptFile) as caught:
        Tokenizer.from_folder(folder)
    assert caught.value.hint


def test_a_vocabulary_of_another_kind(tmp_path: Path, write_folder: Writer, small_table: tuple) -> None:
    table, _ = small_table
    words = {token.replace("</w>", ""): index for token, index in table.items()}
    with pytest.raises(UnsupportedModel, match="CLIP"):
        Tokenizer.from_folder(write_folder(tmp_path / "gpt2", words, []))
    (tmp_path / "t5").mkdir()
    (tmp_path / "t5" / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": []}}))
    with pytest.raises(UnsupportedModel, match="Unigram"):
        Tokenizer.from_folder(tmp_path / "t5")


@pytest.mark.parametrize("model", [{}, {"vocab": {"a</w>": 0}}, {"vocab": [], "merges": []}, [], None])
def test_a_damaged_tokenizer_json(tmp_path: Path, model: object) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(ModelError):
        Tokenizer.from_folder(tmp_path)


def test_a_tokenizer_json_of_either_merge_form(tmp_path: Path, small: Tokenizer, small_table: tuple) -> None:
    table, merges = small_table
    for name, rows in {
        "pairs": [list(pair) for pair in merges],
        "strings": [" ".join(pair) for pair in merges],
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        model = {"type": "BPE", "vocab": table, "merges": rows}
        (folder / "tokenizer.json").write_text(json.dumps({"model": model}), encoding="utf-8")
        text = "a photograph of an astronaut, it's 4k!"
        assert Tokenizer.from_folder(folder).vocabulary.text_to_ids(text) == small.vocabulary.text_to_ids(text)


def test_windows_line_ends(tmp_path: Path, write_folder: Writer, small: Tokenizer, small_table: tuple) -> None:
    folder = write_folder(tmp_path, *small_table)
    merges = (folder / "merges.txt").read_bytes()
    (folder / "merges.txt").write_bytes(merges.replace(b"\n", b"\r\n"))
    text = "a photograph of an astronaut"
    assert Tokenizer.from_folder(folder).vocabulary.text_to_ids(text) == small.vocabulary.text_to_ids(text)


def test_importing_loads_nothing_heavy() -> None:
    """NumPy, the standard library and Nutshell: what it needs to read text is loaded with the first text."""
    code = (
        "import sys, numpy, numpy.typing; before = set(sys.modules); import nutshell.tokens;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    env = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["nutshell"]
