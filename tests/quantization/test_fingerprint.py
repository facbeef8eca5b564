"""Fingerprints tell weights apart, and not the way in which they are stored."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from nutshell.quantization import fingerprint, joint
from nutshell.weights import Tensor, Weights, open_safetensors

RANDOM = np.random.default_rng(5)
VALUES = {
    "conv.weight": RANDOM.standard_normal((32, 16, 3, 3)).astype(np.float32),
    "conv.bias": RANDOM.standard_normal(32).astype(np.float16),
    "one": np.ones(1, np.float32),
    "none": np.zeros((0, 3), np.float32),
}


def stored(**changes: np.ndarray) -> Weights:
    return Weights({name: Tensor.of(f"file's {name}", array) for name, array in {**VALUES, **changes}.items()})


def test_order_and_the_files_own_names_do_not_matter() -> None:
    tensors = {name: Tensor.of(name, array) for name, array in reversed(VALUES.items())}
    assert fingerprint(Weights(tensors)) == fingerprint(stored())


def test_the_place_in_a_file_does_not_matter(tmp_path: Path) -> None:
    save = pytest.importorskip("safetensors.numpy").save_file
    save(VALUES, tmp_path / "a.safetensors")
    save({"before": np.arange(77, dtype=np.float32), **VALUES}, tmp_path / "b.safetensors")
    with open_safetensors(tmp_path / "a.safetensors") as one, open_safetensors(tmp_path / "b.safetensors") as other:
        tensors = {name: tensor for name, tensor in other.tensors.items() if name != "before"}
        assert fingerprint(Weights(tensors)) == fingerprint(Weights(one.tensors)) == fingerprint(stored())


@pytest.mark.parametrize("name", ["conv.weight", "conv.bias", "one"])
def test_weights_that_were_trained_further_are_others(name: str) -> None:
    assert fingerprint(stored(**{name: VALUES[name] * VALUES[name].dtype.type(1.001)})) != fingerprint(stored())


def test_another_type_shape_or_name_is_another_model() -> None:
    plain = fingerprint(stored())
    assert fingerprint(stored(one=np.ones(1, np.float64))) != plain
    assert fingerprint(stored(one=np.ones((1, 1), np.float32))) != plain
    assert fingerprint(stored(two=np.ones(1, np.float32))) != plain


def test_few_pages_are_read() -> None:
    """Of a large tensor a page or two: its bytes at both ends lie where nothing may be touched."""
    size = 64 * mmap.PAGESIZE
    buffer = mmap.mmap(-1, size)
    large = Weights({"w": Tensor("w", "F32", (size // 4,), buffer)})
    before = fingerprint(large)
    buffer[: size // 2 - 64] = b"x" * (size // 2 - 64)
    buffer[size // 2 + 64 :] = b"x" * (size // 2 - 64)
    assert fingerprint(large) == before
    buffer[size // 2] = 1
    assert fingerprint(large) != before


def test_a_models_fingerprint_is_of_all_its_parts() -> None:
    assert joint({"a": "1", "b": "2"}) == joint({"b": "2", "a": "1"})
    assert len({joint({"a": "1", "b": "2"}), joint({"a": "2", "b": "1"}), joint({"a": "1"}), joint({})}) == 4
