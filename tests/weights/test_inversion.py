"""Textual-inversion embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nutshell.errors import CorruptFile, PickleRefused, UnsupportedModel
from nutshell.weights import load_embedding

Writer = Callable[..., Path]


@pytest.mark.parametrize(
    ("key", "shape", "name"),
    [
        ("emb_params", (2, 8), "my-style"),
        ("clip_l", (3, 8), "my-style"),
        ("<cat-toy>", (8,), "<cat-toy>"),
        ("<cat-toy>", (4, 8), "<cat-toy>"),
    ],
)
def test_the_known_forms(key: str, shape: tuple[int, ...], name: str, raw: Writer) -> None:
    values = np.arange(np.prod(shape), dtype=np.float16)
    header = {key: {"dtype": "F16", "shape": shape, "data_offsets": [0, values.nbytes]}}
    embedding = load_embedding(raw(header, values.tobytes(), name="my-style.safetensors"))
    assert embedding.name == name
    assert embedding.width == 8
    assert embedding.vectors.dtype == np.float32
    np.testing.assert_array_equal(embedding.vectors, values.reshape(-1, 8))
    embedding.check_width(8)
    with pytest.raises(UnsupportedModel, match="width 8, the model's are 768") as caught:
        embedding.check_width(768)
    assert "SD 1.x" in caught.value.hint


def test_both_encoders_of_sdxl(names_only: Writer) -> None:
    assert load_embedding(names_only({"clip_l": (2, 8), "clip_g": (2, 16)})).width == 8


@pytest.mark.reference
def test_a_file_of_the_real_library(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    vector = torch.randn(8).bfloat16()
    save_file({"<猫>": vector}, tmp_path / "learned_embeds.safetensors")
    embedding = load_embedding(tmp_path / "learned_embeds.safetensors")
    assert embedding.name == "<猫>"
    np.testing.assert_array_equal(embedding.vectors, vector.float().numpy()[None])


def test_what_is_no_embedding(names_only: Writer, raw: Writer, tmp_path: Path) -> None:
    for shape in ((1, 2, 3), (), (0, 8), (8, 0), (2000, 1), (1, 20000)):
        with pytest.raises(CorruptFile, match="no embedding"):
            load_embedding(names_only({"emb_params": shape}))
    with pytest.raises(CorruptFile, match="I32"):
        load_embedding(raw({"emb_params": {"dtype": "I32", "shape": [1, 1], "data_offsets": [0, 4]}}, bytes(4)))
    header = {"emb_params": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}
    with pytest.raises(CorruptFile, match="not numbers"):
        load_embedding(raw(json.dumps(header).encode(), np.float32(np.nan).tobytes()))
    with pytest.raises(UnsupportedModel, match="2 tensors"):
        load_embedding(names_only({"a": (1, 8), "b": (1, 8)}))
    with pytest.raises(UnsupportedModel):
        load_embedding(names_only({"conv_in.weight": (8, 8)}))
    for name in ("style.pt", "learned_embeds.bin"):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
        with pytest.raises(PickleRefused):
            load_embedding(tmp_path / name)
