"""Whatever the bytes: one of our errors or a correct reading, and never much memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutshell.errors import NutshellError
from nutshell.weights import open_safetensors, read_layout
from nutshell.weights.header import HeaderError, parse_header

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MODERATE = 2_000_000  # bytes: for files of a few kilobytes


def try_to_read(path: Path, data: bytes) -> bool:
    """Whether it was read; anything but a NutshellError escapes and fails the test."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with open_safetensors(path) as file:
            for tensor in file.tensors.values():
                assert tensor.array().shape == tensor.shape
    except NutshellError:
        return False
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MODERATE
    return True


def valid() -> bytes:
    header = {
        "__metadata__": {"format": "pt"},
        "a.weight": {"dtype": "F16", "shape": [3, 4], "data_offsets": [0, 24]},
        "a.bias": {"dtype": "F32", "shape": [], "data_offsets": [24, 28]},
        "e": {"dtype": "I64", "shape": [0], "data_offsets": [28, 28]},
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(range(28))


@FUZZ
@given(data=st.binary(max_size=300))
def test_random_bytes(data: bytes, tmp_path: Path) -> None:
    try_to_read(tmp_path / "x.safetensors", data)


@FUZZ
@given(length=st.integers(0, 2**64 - 1), text=st.text(max_size=200), data=st.binary(max_size=20))
def test_random_length_and_text(length: int, text: str, data: bytes, tmp_path: Path) -> None:
    raw = ("{" + text).encode("utf-8", "surrogatepass")
    for claimed in (length, len(raw)):
        try_to_read(tmp_path / "x.safetensors", struct.pack("<Q", claimed) + raw + data)


def test_every_truncation(tmp_path: Path) -> None:
    whole = valid()
    assert try_to_read(tmp_path / "x.safetensors", whole)
    for size in range(len(whole)):
        assert not try_to_read(tmp_path / "x.safetensors", whole[:size]), size


@FUZZ
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bits(flips: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(valid())
    for place, mask in flips:
        data[place % len(data)] ^= mask
    try_to_read(tmp_path / "x.safetensors", bytes(data))


NUMBER = st.one_of(st.integers(-3, 40), st.integers(0, 2**70), st.floats(), st.none(), st.text(max_size=3))
ENTRY = st.one_of(
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "U8", "BOOL", "F8_E4M3", "x", None]),
            "shape": st.lists(NUMBER, max_size=4),
            "data_offsets": st.lists(NUMBER, max_size=3),
        }
    ),
    st.recursive(st.none() | st.booleans() | NUMBER, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
)


@FUZZ
@given(header=st.dictionaries(st.text(max_size=8) | st.just("__metadata__"), ENTRY, max_size=5))
def test_random_headers(header: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    try_to_read(tmp_path / "x.safetensors", struct.pack("<Q", len(text)) + text + bytes(64))


@FUZZ
@given(st.dictionaries(st.text(max_size=6), st.lists(st.integers(0, 10**17), max_size=5), max_size=5), st.booleans())
def test_the_two_ways_to_read_an_entry_agree(shapes: dict[str, list[int]], ascii_only: bool) -> None:
    header = {name: {"dtype": "F16", "shape": shape, "data_offsets": [3, 5]} for name, shape in shapes.items()}
    tight = json.dumps(header, separators=(",", ":"), ensure_ascii=ascii_only)
    loose = json.dumps(header, indent=1, sort_keys=True, ensure_ascii=ascii_only)
    try:
        fast = parse_header(tight)[0]
    except HeaderError:
        with pytest.raises(HeaderError):
            parse_header(loose)
        return
    assert fast == parse_header(loose)[0]
    assert {name: list(entry.shape) for name, entry in fast.items()} == shapes


BOMBS = {
    "zeros": b"{",
    "spaces": b"{" + b" " * 30_000_000,
    "deep objects": b'{"a":' + b'{"a":' * 5_000_000,
    "deep lists": b'{"a":{"shape":' + b"[" * 30_000_000,
    "long list": b'{"a":{"shape":[' + b"1," * 15_000_000,
    "long number": b'{"a":{"shape":[' + b"1" * 30_000_000,
    "long name": b'{"' + b"a" * 30_000_000 + b'":{}}',
    "escapes": b'{"' + b"\\n" * 15_000_000 + b'":{}}',
    "long metadata": b'{"__metadata__":{' + b",".join(b'"%d":""' % n for n in range(2_000_000)),
    "many tensors": b"{"
    + b",".join(b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % n for n in range(500_000)),
}


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds only there")
def test_bombs_stay_within_memory(tmp_path: Path) -> None:
    """Headers of 30 to 90 MB made to blow up a parser, read under a limit of 600 MB of address space."""
    for case, text in BOMBS.items():
        path = tmp_path / f"{case.replace(' ', '_')}.safetensors"
        with path.open("wb") as file:
            file.write(struct.pack("<Q", 90_000_000 if case == "zeros" else len(text)) + text)
            if case == "zeros":
                file.truncate(8 + 90_000_000)
    code = """
import resource, sys, pathlib
from nutshell.errors import CorruptFile
from nutshell.weights import read_layout
resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000))
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors")):
    try:
        read_layout(path)
    except CorruptFile as error:
        assert len(str(error)) < 600, len(str(error))
    else:
        raise SystemExit(f"{path} was read")
print("all refused")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "all refused", done.stderr[-2000:]


def test_a_sparse_file_with_a_giant_claim_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**40) + b"{")
        file.truncate(2**41 if sys.platform == "linux" else 2**20)
    tracemalloc.start()
    with pytest.raises(NutshellError, match="claims"):
        read_layout(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MODERATE
