"""The reader against the `safetensors` library, and every rule of the format broken once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nutshell.errors import CorruptFile, ModelError, ModelNotFound, NutshellError, PickleRefused, UnsupportedModel
from nutshell.weights import Tensor, open_safetensors, read_layout

Writer = Callable[..., Path]
ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.reference
def test_equals_the_library(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    torch.manual_seed(1)
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
    stored = {f"{kind}.{rank}": torch.randn([3, 2, 4][:rank]).to(kind) for kind in kinds for rank in range(4)}
    whole = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    stored |= {f"{kind}": torch.randint(0, 100, (5, 3)).to(kind) for kind in whole}
    stored |= {"empty": torch.zeros(0, 4), "hollow": torch.zeros(3, 0, dtype=torch.int8)}
    path = tmp_path / "all.safetensors"
    save_file(stored, path, metadata={"format": "pt", "quote": 'a "b" \\ \n é 猫'})
    with open_safetensors(path) as file:
        assert file.tensors.keys() == stored.keys()
        assert file.metadata == {"format": "pt", "quote": 'a "b" \\ \n é 猫'}
        for name, tensor in stored.items():
            ours = file.tensors[name]
            assert ours.shape == tuple(tensor.shape)
            np.testing.assert_array_equal(ours.f32(), tensor.float().numpy())
            if tensor.dtype != torch.bfloat16:
                np.testing.assert_array_equal(ours.array(), tensor.numpy())
            assert ours.aligned


def test_views_are_writable_and_never_reach_the_file(names_only: Writer) -> None:
    path = names_only({"a": (4,)})
    with open_safetensors(path) as file:
        array = file.tensors["a"].array()
        assert array.flags.writeable
        assert not array.flags.owndata
        array[:] = 7
    assert path.read_bytes()[-16:] == bytes(16)


def test_unaligned_tensors_are_read_and_reported(raw: Writer) -> None:
    values = np.arange(3, dtype="<f4")
    header = {
        "odd": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "x": {"dtype": "F32", "shape": [3], "data_offsets": [1, 13]},
    }
    text = str(header).replace("'", '"').encode()
    path = raw(text + b" " * (-len(text) % 8), b"\x09" + values.tobytes())
    with open_safetensors(path) as file:
        assert not file.tensors["x"].aligned
        np.testing.assert_array_equal(file.tensors["x"].array(), values)


def test_release_drops_pages_and_values_return(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    values = np.arange(1 << 21, dtype="<f4")
    header = f'{{"a":{{"dtype":"F32","shape":[{values.size}],"data_offsets":[0,{values.nbytes}]}}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())
    file = open_safetensors(path)
    array = file.tensors["a"].array()
    assert float(array.sum()) > 0
    full = _resident_bytes()
    file.release()
    if full is not None:
        # Eight megabytes were read; allow for what else the process does meanwhile.
        assert full - (_resident_bytes() or 0) > 6_000_000
    np.testing.assert_array_equal(array, values)
    # Closing with an array alive neither fails nor pulls the values from under it.
    file.close()
    np.testing.assert_array_equal(array, values)
    file.release()
    file.close()


def test_close_frees_the_map(names_only: Writer) -> None:
    file = open_safetensors(names_only({"a": (4,)}))
    file.close()
    file.release()
    with pytest.raises(ValueError, match="closed"):
        file.tensors["a"].array()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on private maps is Linux's")
def test_a_file_larger_than_memory_is_mapped(tmp_path: Path) -> None:
    """A checkpoint may exceed the machine's memory: mapping it must not ask for that much."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    size = min(3 * memory, 1 << 42)
    header = f'{{"a":{{"dtype":"U8","shape":[{size}],"data_offsets":[0,{size}]}}}}'.encode()
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        try:
            file.truncate(8 + len(header) + size)
        except OSError:
            pytest.skip("this file system has no sparse files of that size")
    with open_safetensors(path) as mapped:
        assert mapped.tensors["a"].rows(size - 1, size).array().tolist() == [0]


def _entry(**changed: Any) -> dict[str, Any]:
    return {"a": {**ONE, **changed}}


# Each breaks one rule: (header, data, words of the message).
BROKEN: dict[str, tuple[Any, bytes, str]] = {
    "no JSON": (b"{]", b"", "damaged"),
    "no object": (b"{}x", b"", "follows its end"),
    "comma": (b'{"a":' + b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}', bytes(4), "no string"),
    "not UTF-8": (b'{"\xff":{}}', b"", "UTF-8"),
    "lone surrogate": (b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4), "unusable"),
    "escape codes": (b'{"\\u001b[2J":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4), "unusable"),
    "same name twice": (
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        bytes(8),
        "twice",
    ),
    "same field twice": (b'{"a":{"dtype":"F32","dtype":"F32"}}', b"", "repeated"),
    "metadata twice": (b'{"__metadata__":{},"__metadata__":{}}', b"", "twice"),
    "metadata key twice": (b'{"__metadata__":{"a":"1","a":"2"}}', b"", "twice"),
    "metadata number": ({"__metadata__": {"a": 1}}, b"", "no string"),
    "metadata list": ({"__metadata__": []}, b"", "damaged"),
    "unknown field": (_entry(more=1), bytes(4), "unknown or repeated"),
    "no dtype": ({"a": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4), "lacks"),
    "unknown dtype": (_entry(dtype="F33"), bytes(4), "unknown dtype"),
    "dtype number": (_entry(dtype=5), bytes(4), "no string"),
    "negative shape": (_entry(shape=[-1]), bytes(4), "non-negative"),
    "fraction": (_entry(shape=[1.0]), bytes(4), "non-negative"),
    "exponent": (b'{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}', bytes(4), "non-negative"),
    "leading zero": (b'{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}', bytes(4), "damaged"),
    "huge number": (_entry(shape=[10**4000]), bytes(4), "non-negative"),
    "overflow": (_entry(shape=[2**40, 2**40]), bytes(4), "beyond any memory"),
    "hidden overflow": (_entry(shape=[0, 2**40, 2**40], data_offsets=[0, 0]), b"", "beyond any memory"),
    "rank": (_entry(shape=[1] * 40), bytes(4), "short list"),
    "nested shape": (_entry(shape=[[1]]), bytes(4), "non-negative"),
    "one offset": (_entry(data_offsets=[0]), bytes(4), "1 offsets"),
    "backwards": (_entry(data_offsets=[4, 0]), bytes(4), "-4 bytes"),
    "too few bytes": (_entry(shape=[2]), bytes(4), "needs"),
    "hole at the start": (_entry(data_offsets=[4, 8]), bytes(8), "hole"),
    "hole": ({"a": ONE, "b": {**ONE, "data_offsets": [8, 12]}}, bytes(12), "hole"),
    "overlap": ({"a": ONE, "b": {**ONE, "data_offsets": [2, 6]}}, bytes(6), "overlap"),
    "same place": ({"a": ONE, "b": ONE}, bytes(4), "overlap"),
    "truncated": (_entry(shape=[100], data_offsets=[0, 400]), bytes(150), "250 of "),
    "left over": (_entry(), bytes(9), "5 bytes after"),
    "deep": (b"{" + b'"a":{' * 200_000, b"", "unknown or repeated"),
    "deep lists": (b'{"a":' + b"[" * 200_000, b"", "damaged"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_named(case: str, raw: Writer) -> None:
    header, data, words = BROKEN[case]
    with pytest.raises(CorruptFile, match=words) as caught:
        read_layout(raw(header, data))
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_legal_oddities_are_read(raw: Writer) -> None:
    assert read_layout(raw({})).entries == {}
    spaced = b' { "a" : { "shape" : [ 1 ] , "data_offsets" : [ 0 , 4 ],\n"dtype" : "F32" } } \n  '[1:]
    assert read_layout(raw(spaced, bytes(4))).entries["a"].shape == (1,)
    # Same start and end: an empty tensor may lie between two others.
    header = {
        "b": {**ONE, "data_offsets": [4, 8]},
        "e": {"dtype": "I8", "shape": [0], "data_offsets": [4, 4]},
        "a": ONE,
    }
    assert list(read_layout(raw(header, bytes(8))).entries) == ["b", "e", "a"]
    assert read_layout(raw({"": ONE}, bytes(4))).entries[""].dtype == "F32"


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F4", "C64"])
def test_unsupported_dtypes_say_so(dtype: str, raw: Writer) -> None:
    with pytest.raises(UnsupportedModel, match=dtype) as caught:
        read_layout(raw(_entry(dtype=dtype), bytes(4)))
    assert "float16" in caught.value.hint


LOOKS: dict[str, tuple[bytes, type[NutshellError], str]] = {
    "empty": (b"", CorruptFile, "is empty"),
    "short": (b"abc", CorruptFile, "only 3 bytes"),
    "length alone": (b"\x02" + bytes(7), CorruptFile, "only 8 bytes"),
    "page": (b"<!DOCTYPE html><html><title>Sign in</title>" + bytes(600), CorruptFile, "web page"),
    "page after space": (b"\n\n <HTML>" + bytes(600), CorruptFile, "web page"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4265096689\n", CorruptFile, "Git LFS"),
    "JSON": (b'{"error": "Repository not found"}', CorruptFile, "JSON"),
    "zeros": (bytes(5000), CorruptFile, "nothing but zeros"),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), CorruptFile, "gzip"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(50), CorruptFile, "PNG"),
    "GGUF": (b"GGUF\x03" + bytes(50), UnsupportedModel, "GGUF"),
    "zip": (b"PK\x03\x04\x14\x00\x08\x08" + bytes(50), PickleRefused, "runs whatever code"),
    "pickle 2": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(50), PickleRefused, "runs whatever code"),
    "pickle 4": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}q" + bytes(50), PickleRefused, "runs whatever code"),
    "noise": (bytes(range(200, 256)), CorruptFile, "no header"),
    "huge length": (b"\xff" * 7 + b"\x7f{", CorruptFile, "claims"),
    "cut in the header": (b"\x40\x1f\0\0\0\0\0\0{" + bytes(91), CorruptFile, "7908 bytes of its header are missing"),
}


@pytest.mark.parametrize("case", LOOKS)
def test_other_files_are_recognised(case: str, tmp_path: Path) -> None:
    data, error, words = LOOKS[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(error, match=words):
        read_layout(path)


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".pt", ".pth", ".PT", ".pkl"])
def test_pickles_are_refused_by_name(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"anything")
    with pytest.raises(PickleRefused) as caught:
        read_layout(path)
    assert "weights_only=True" in caught.value.hint
    assert ".safetensors" in caught.value.hint


@pytest.mark.reference
def test_torch_files_under_a_false_name_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for new in (True, False):
        path = tmp_path / f"model{new}.safetensors"
        torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=new)
        with pytest.raises(PickleRefused):
            read_layout(path)


def test_a_header_length_that_looks_like_a_pickle_is_read(raw: Writer) -> None:
    """A header of 0x280 bytes begins as a pickle of protocol 2 does."""
    assert read_layout(raw(b"{}".ljust(0x280))).entries == {}


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no file"):
        read_layout(tmp_path / "none.safetensors")
    with pytest.raises(CorruptFile, match="folder"):
        read_layout(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.safetensors")
        with pytest.raises(CorruptFile, match="pipe"):
            read_layout(tmp_path / "pipe.safetensors")


def test_a_file_that_changes_meanwhile(names_only: Writer) -> None:
    from nutshell.weights import MappedFile

    path = names_only({"a": (4,)})
    layout = read_layout(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptFile, match="changed"):
        MappedFile(layout)
    path.unlink()
    with pytest.raises(ModelError):
        MappedFile(layout)


def test_placeholders_and_views() -> None:
    with pytest.raises(ValueError, match="placeholder"):
        Tensor("a", "F32", (2,)).array()
    tensor = Tensor.of("a", np.arange(12, dtype=np.float32).reshape(6, 2))
    np.testing.assert_array_equal(tensor.rows(2, 4).array(), [[4, 5], [6, 7]])
    np.testing.assert_array_equal(tensor.reshape(3, 4).rows(1, 2).array(), [[4, 5, 6, 7]])
    assert tensor.rows(1, 1).array().shape == (0, 2)
    with pytest.raises(ValueError, match="rows"):
        tensor.rows(3, 7)
    with pytest.raises(ValueError, match="view"):
        tensor.reshape(5)
    np.testing.assert_array_equal(Tensor.of("s", np.float32(3)).array(), 3)


def test_importing_is_light() -> None:
    """No engine, and no more than numpy and the standard library."""
    code = (
        "import sys, numpy; before = set(sys.modules); import nutshell.weights; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(out.split()) <= {"numpy", "nutshell"}


def _resident_bytes() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
