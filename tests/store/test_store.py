"""The store itself: what is kept, shared, checked and thrown away."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from pathlib import Path

import pytest

from nutshell.errors import CorruptFile, ModelError, ModelNotFound, NutshellError
from nutshell.store import Manifest, Store, StoredFile

FILES = {"model_index.json": b"{}", "unet/config.json": b'{"a": 1}', "unet/model.safetensors": b"weights" * 1000}


def no_link(source: Path, target: Path) -> None:
    """A disk without hard links, as FAT is."""
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.fixture(params=["links", "no links"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "store", os.link if request.param == "links" else no_link)


def add(store: Store, name: str, files: dict[str, bytes]) -> Manifest:
    stored = []
    for path, data in files.items():
        sha256 = hashlib.sha256(data).hexdigest()
        if store.find_blob(sha256) is None:
            store.add_blob(io.BytesIO(data), sha256, len(data))
        stored.append(StoredFile(path, sha256, len(data)))
    manifest = Manifest(name, tuple(stored), "hf:owner/name", "1" * 40, "MIT")
    store.put(manifest)
    return manifest


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_model_is_listed_and_lies_as_a_folder(store: Store) -> None:
    manifest = add(store, "one", FILES)
    assert store.manifests() == {"one": manifest}
    assert store.manifest("one") == manifest
    assert content(store.view("one")) == FILES
    assert store.is_whole("one")
    assert not store.verify("one").bad
    for file in manifest.files:
        assert store.blob(file.sha256).read_bytes() == FILES[file.path]


def test_models_share_files_and_removing_one_leaves_the_other(store: Store) -> None:
    add(store, "one", FILES)
    add(store, "two", {**FILES, "unet/config.json": b"another"})
    store.remove("one")
    assert list(store.manifests()) == ["two"]
    assert not store.view("one").exists()
    assert not store.verify("two").bad
    store.remove("two")
    assert content(store.folder) == {}
    with pytest.raises(ModelNotFound, match="no model named 'two'"):
        store.remove("two")


def test_shared_files_take_their_room_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, "one", FILES)
    add(store, "two", FILES)
    inodes = {path.stat().st_ino for path in tmp_path.rglob("*.safetensors")}
    assert len(inodes) == 1
    assert store.remove("one") == 0
    assert store.remove("two") == sum(map(len, FILES.values()))


def test_a_new_revision_takes_the_place_of_the_old(store: Store) -> None:
    add(store, "one", FILES)
    moved = {"model_index.json": b"{}", "vae/model.safetensors": FILES["unet/model.safetensors"]}
    add(store, "one", moved)
    assert content(store.view("one")) == moved
    assert not store.verify("one").bad


def test_a_flipped_bit_is_found_and_set_aside(store: Store) -> None:
    manifest = add(store, "one", FILES)
    path = store.view("one") / "unet/model.safetensors"
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(3000)
        file.write(b"!")
    verdict = store.verify("one")
    assert [file.path for file in verdict.bad] == ["unet/model.safetensors"]
    store.set_aside(verdict)
    assert store.find_blob(verdict.bad[0].sha256) is None
    assert not store.is_whole("one")
    with pytest.raises(ModelError, match=r"lacks unet/model\.safetensors"):
        store.repair("one")
    data = FILES["unet/model.safetensors"]
    store.add_blob(io.BytesIO(data), hashlib.sha256(data).hexdigest(), len(data))
    store.put(manifest)
    assert content(store.view("one")) == FILES
    assert not list(store.folder.rglob("*.damaged"))


def test_a_lost_view_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, "one", FILES)
    (store.view("one") / "model_index.json").unlink()
    assert not store.is_whole("one")
    assert content(store.repair("one")) == FILES


@pytest.mark.parametrize("data", [b"weights" * 999, b"Weights" * 1000])
def test_other_bytes_are_not_kept(tmp_path: Path, data: bytes) -> None:
    right = FILES["unet/model.safetensors"]
    with pytest.raises(CorruptFile):
        Store(tmp_path).add_blob(io.BytesIO(data), hashlib.sha256(right).hexdigest(), len(right))
    assert content(tmp_path) == {}


def test_a_model_is_not_listed_before_its_files_are_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model_index\.json is not in the store"):
        Store(tmp_path).put(Manifest("one", (StoredFile("model_index.json", "0" * 64, 2),)))
    assert Store(tmp_path).manifests() == {}


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/x",
        "a/../x",
        "a\\b",
        "C:x",
        "nul",
        "a/COM1.txt",
        "x.",
        "x ",
        "a//b",
        "",
        "a\nb",
        "x" * 300,
        "aux .json",
    ],
)
def test_unsafe_paths_are_refused(path: str) -> None:
    manifest = Manifest("one", (StoredFile(path, "0" * 64, 2),))
    with pytest.raises(CorruptFile, match="unsafe name"):
        Manifest.from_json(manifest.to_json(), "x.json")


@pytest.mark.parametrize("paths", [("a/B.json", "A/b.json"), ("a", "a/b"), ("a/b", "A")])
def test_names_that_some_disks_cannot_tell_apart_are_refused(paths: tuple[str, str]) -> None:
    manifest = Manifest("one", tuple(StoredFile(path, "0" * 64, 2) for path in paths))
    with pytest.raises(CorruptFile, match="one name on some disks"):
        Manifest.from_json(manifest.to_json(), "x.json")


@pytest.mark.parametrize("name", ["..", "a/../b", "/a", "con", "a b", "x" * 200, "", "hf:../x", "a//b"])
def test_unsafe_names_are_refused(name: str) -> None:
    manifest = Manifest(name, (StoredFile("a", "0" * 64, 2),))
    with pytest.raises(CorruptFile, match="no name of a model"):
        Manifest.from_json(manifest.to_json(), "x.json")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"format": 1, "name": "x", "files": {"a": 1}}', b"[" * 100_000])
def test_what_is_no_manifest_is_told(raw: bytes) -> None:
    with pytest.raises(NutshellError, match=r"x\.json"):
        Manifest.from_json(raw, "x.json")
