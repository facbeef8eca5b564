"""Compiled networks on disk: read again, never wrong, never in the way."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from nutshell.engines import compile_cache
from nutshell.engines.cache_key import cache_key
from nutshell.engines.compile_cache import CompileCache
from nutshell.networks.ops import Input, Network
from nutshell.weights import Tensor, Weights

openvino_engine = pytest.importorskip("nutshell.engines.openvino_engine")
LIMIT = 50_000_000
X = np.random.default_rng(0).standard_normal((1, 8, 64)).astype(np.float32)


def network(name: str = "net") -> Network:
    return Network(
        "unet",
        name,
        {"x": Input((1, 8, 64))},
        lambda ops, weights, given: ops.linear(given["x"], weights.take("weight", (256, 64)), None),
    )


def weights(seed: int = 1) -> Weights:
    values = np.random.default_rng(seed).standard_normal((256, 64)).astype(np.float32)
    return Weights({"weight": Tensor.of("weight", values)})


class Drawn(NamedTuple):
    values: np.ndarray
    from_cache: bool


def compiled(folder: Path, seed: int = 1, precision: str = "f32", limit: int = LIMIT) -> Drawn:
    """What an engine of its own gives, as after another start."""
    engine = openvino_engine.OpenVinoEngine(CompileCache(folder, limit))
    session = engine.compile(network(), weights(seed), precision, threads=1)
    from_cache = session._compiled.get_property("LOADED_FROM_CACHE")
    values = session(x=X)
    session.close()
    return Drawn(values, from_cache)


def blob(folder: Path) -> Path:
    (found,) = folder.glob("*/*.blob")
    return found


def test_a_network_is_read_again(tmp_path: Path) -> None:
    first, second = compiled(tmp_path / "cache"), compiled(tmp_path / "cache")
    assert (first.from_cache, second.from_cache) == (False, True)
    np.testing.assert_array_equal(first.values, second.values)
    expected = X @ weights().take("weight", (256, 64)).f32().T
    np.testing.assert_allclose(second.values, expected, rtol=1e-4, atol=1e-4)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def foreign(path: Path) -> None:
    path.write_bytes(b"not a network\n" * 1000)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 2000):
        content[place] ^= 0xFF
    path.write_bytes(content)


def forget(path: Path) -> None:
    path.unlink()


def unseal(path: Path) -> None:
    (path.parent / "seal.json").write_text("[" * 100_000)


def add(path: Path) -> None:
    shutil.copy(path, path.with_name("another.blob"))


@pytest.mark.parametrize("harm", [truncate, empty, foreign, flip, forget, unseal, add])
def test_a_damaged_entry_is_made_anew(harm: Callable[[Path], None], tmp_path: Path) -> None:
    first = compiled(tmp_path)
    harm(blob(tmp_path))
    second, third = compiled(tmp_path), compiled(tmp_path)
    assert (second.from_cache, third.from_cache) == (False, True)
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.values, third.values)


def test_other_weights_are_another_entry(tmp_path: Path) -> None:
    one, other = compiled(tmp_path, seed=1), compiled(tmp_path, seed=2)
    assert not other.from_cache
    assert (one.values != other.values).any()
    assert compiled(tmp_path, seed=1).from_cache


def test_weights_that_begin_alike_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """The key samples; OpenVINO's own hash of every byte tells the rest."""
    alike = weights().take("weight", (256, 64)).f32().copy()
    alike[-1] += 1
    other = Weights({"weight": Tensor.of("weight", alike)})
    assert cache_key(network(), weights(), {}) == cache_key(network(), other, {})
    compiled(tmp_path)
    engine = openvino_engine.OpenVinoEngine(CompileCache(tmp_path, LIMIT))
    session = engine.compile(network(), other, "f32", threads=1)
    np.testing.assert_allclose(session(x=X), X @ alike.T, rtol=1e-4, atol=1e-4)
    session.close()


def test_a_key_says_everything_that_matters() -> None:
    how = {"INFERENCE_PRECISION_HINT": "f32", "engine": "1", "device": "a"}
    plain = cache_key(network(), weights(), how)
    assert plain == cache_key(network(), weights(), dict(reversed(how.items())))
    assert plain[1] == 4 * 256 * 64
    assert cache_key(network(), weights(), {**how, "INFERENCE_PRECISION_HINT": "bf16"})[1] == 2 * 256 * 64
    others = [
        cache_key(network("net merge 0.5"), weights(), how),
        cache_key(network(), weights(2), how),
        *(cache_key(network(), weights(), {**how, key: "other"}) for key in how),
    ]
    assert len({plain[0], *(key for key, _ in others)}) == len(others) + 1


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    size = 0
    for seed in range(3):
        compiled(tmp_path, seed=seed)
        for entry in tmp_path.iterdir():
            size = max(size, sum(file.stat().st_size for file in entry.iterdir()))
    keys = [cache_key_of(seed) for seed in range(3)]
    for age, key in enumerate(keys):
        os.utime(tmp_path / key / "seal.json", (1000 - 100 * age, 1000 - 100 * age))
    # The third is the oldest now; used, it is the youngest.
    assert compiled(tmp_path, seed=2).from_cache
    compiled(tmp_path, seed=3, limit=int(3.5 * size))
    left = {entry.name for entry in tmp_path.iterdir()}
    assert keys[1] not in left
    assert {keys[0], keys[2], cache_key_of(3)} <= left


def cache_key_of(seed: int) -> str:
    engine = openvino_engine.OpenVinoEngine(spy := Spy())
    engine.compile(network(), weights(seed), "f32", threads=1).close()
    return spy.key


class Spy(CompileCache):
    """Keeps nothing but the key that it was asked for."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"), 0)
        self.key = ""

    def entry(self, key: str, expected_bytes: int) -> Any:
        self.key = key
        return super().entry(key, expected_bytes)


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    assert not compiled(tmp_path / "cache", limit=1000).from_cache
    assert not compiled(tmp_path / "cache", limit=1000).from_cache
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(compile_cache.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    first = compiled(tmp_path)
    assert not first.from_cache
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage, calls = shutil.disk_usage(tmp_path), []

    def less_and_less(path: object) -> Any:
        calls.append(path)
        return usage._replace(free=10**12 if len(calls) == 1 else 1000)

    monkeypatch.setattr(compile_cache.shutil, "disk_usage", less_and_less)
    compiled(tmp_path)
    assert len(calls) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refused)
    assert not compiled(tmp_path / "cache").from_cache
    (tmp_path / "file").write_text("in the way")
    monkeypatch.undo()
    assert not compiled(tmp_path / "file").from_cache


def test_what_fails_in_the_block_is_not_kept(tmp_path: Path) -> None:
    cache = CompileCache(tmp_path, LIMIT)

    def fail() -> None:
        with cache.entry("key", 10) as folder:
            assert folder is not None
            (folder / "half.blob").write_bytes(b"ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_entry_that_openvino_refuses_is_no_reason_not_to_draw(tmp_path: Path) -> None:
    compiled(tmp_path)
    engine = openvino_engine.OpenVinoEngine(CompileCache(tmp_path, LIMIT))
    core = engine._core

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

        def compile_model(self, model: Any, device: str, config: dict[str, Any]) -> Any:
            if "CACHE_DIR" in config:
                raise RuntimeError("the blob is of another make")
            return core.compile_model(model, device, config)

    engine._core = Refusing()
    session = engine.compile(network(), weights(), "f32", threads=1)
    assert np.isfinite(session(x=X)).all()
    session.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_goes_away_and_what_is_being_written_stays(tmp_path: Path) -> None:
    dead, busy = tmp_path / "unet-1.0000.part", tmp_path / "unet-2.0000.part"
    for folder in (dead, busy):
        folder.mkdir()
        (folder / "half.blob").write_bytes(b"half")
    os.utime(dead, (0, 0))
    compiled(tmp_path)
    assert (dead.exists(), busy.exists()) == (False, True)
