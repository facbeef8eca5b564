"""Bundles: what goes in comes out, wherever the models lay."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from nutshell.catalogue import ModelCard
from nutshell.errors import CorruptFile, ModelNotFound, OutputError, StoreError
from nutshell.store import Manifest, Store, StoredFile, builtin_folder, bundle_read, bundle_write
from nutshell.store.bundle import BundledModel, Contents
from nutshell.store.bundle_gather import Packed, gather, wheel_files
from nutshell.store.bundle_read import import_bundle
from nutshell.store.bundle_tar import BLOCK, header
from nutshell.store.bundle_write import bundle_bytes, export_bundle, plan_bundle
from nutshell.store.places import Places

SHARED = b"vae" * 5000
FILES = {"LICENSE": b"Do as you please.", "model_index.json": b"{}", "unet/a.safetensors": b"one", "vae/v": SHARED}
OTHER = {"LICENSE": b"Be kind.", "model_index.json": b"{}", "unet/a.safetensors": b"two" * 700, "vae/v": SHARED}


def packed(folder: Path, name: str, files: dict[str, bytes], card: ModelCard | None = None) -> Packed:
    """A model of files below `folder`."""
    stored, paths = [], {}
    for path, data in files.items():
        file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        stored.append(StoredFile(path, sha256, len(data)))
        paths[sha256] = file
    return Packed(BundledModel(Manifest(name, tuple(stored), "hf:a/b", "1" * 40, "MIT"), card), paths)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Two models that share files, and a wheel."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "nutshell-1-py3-none-any.whl").write_bytes(b"wheel" * 999)
    card = ModelCard("one", "The first", "MIT", architecture="sd1", parameters={"unet": 3})
    models = [packed(tmp_path, "two", OTHER), packed(tmp_path, "one", FILES, card)]
    export_bundle(models, tmp_path / "models.nut", wheel_files(wheels))
    return tmp_path / "models.nut"


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_went_in_comes_out(bundle: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    counted: list[int] = []
    totals: list[int] = []
    done = import_bundle(bundle, store, on_bytes=counted.append, on_total=totals.append)
    assert [model.manifest.name for model in done.models] == ["one", "two"]
    assert content(store.view("one")) == FILES
    assert content(store.view("two")) == OTHER
    assert store.manifest("one").source == "hf:a/b"
    assert not store.verify("one").bad
    assert done.models[0].card == ModelCard("one", "The first", "MIT", architecture="sd1", parameters={"unet": 3})
    assert sum(counted) == totals[0]
    assert import_bundle(bundle, store).copied == 0


def test_any_tar_reads_it_and_finds_each_file_once(bundle: Path) -> None:
    with tarfile.open(bundle) as tar:
        names = tar.getnames()
        assert names[:3] == ["manifest.json", "licences/one/LICENSE", "licences/two/LICENSE"]
        assert names[-1] == "wheels/nutshell-1-py3-none-any.whl"
        assert len(names) == len(set(names)) == 8
        for member in tar.getmembers():
            assert (member.mode, member.mtime, member.uid, member.uname, member.isreg()) == (0o644, 0, 0, "", True)
            data = tar.extractfile(member)
            assert data is not None
            if member.name.startswith("blobs/"):
                assert member.name == f"blobs/sha256-{hashlib.sha256(data.read()).hexdigest()}"
    assert bundle.stat().st_size % BLOCK == 0


def test_the_same_models_make_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    card = ModelCard("one", "The first", "MIT", architecture="sd1", parameters={"unet": 3}, path="/elsewhere/x")
    models = [packed(tmp_path / "again", "one", FILES, card), packed(tmp_path / "again", "two", OTHER)]
    contents = export_bundle(models, tmp_path / "again.nut", wheel_files(tmp_path / "wheels"))
    assert (tmp_path / "again.nut").read_bytes() == bundle.read_bytes()
    assert bundle_bytes(contents) == bundle.stat().st_size
    assert b"elsewhere" not in bundle.read_bytes(), "where a model lay is nobody's business"


def test_only_what_is_wanted(bundle: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    done = import_bundle(bundle, store, wanted=lambda model: model.manifest.name == "two")
    assert list(store.manifests()) == ["two"]
    assert [model.manifest.name for model in done.left_out] == ["one"]
    assert done.copied == sum(map(len, set(OTHER.values())))


def test_what_is_there_is_not_copied_again(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that is broken off at any file goes on with the next."""
    store = Store(tmp_path / "store")
    add, added = Store.add_blob, []

    def add_two(self: Store, stream: io.BytesIO, sha256: str, size: int) -> Path:
        if len(added) % 3 == 2:
            added.append("broken off")
            raise KeyboardInterrupt
        added.append(sha256)
        return add(self, stream, sha256, size)

    monkeypatch.setattr(Store, "add_blob", add_two)
    for _ in range(9):
        try:
            import_bundle(bundle, store)
        except KeyboardInterrupt:
            assert store.manifests() == {}
    whole = [sha256 for sha256 in added if sha256 != "broken off"]
    assert sorted(whole) == sorted({hashlib.sha256(data).hexdigest() for data in [*FILES.values(), *OTHER.values()]})
    assert not store.verify("one").bad
    assert not store.verify("two").bad


def test_a_built_in_model(tmp_path: Path) -> None:
    made = gather("artist", Places())
    target = tmp_path / "artist.nut"
    export_bundle([made], target)
    store = Store(tmp_path / "other")
    import_bundle(target, store)
    held = content(store.view("artist"))
    assert held.pop("LICENSE").split()[:2] == [b"Apache", b"License"]
    ours = content(builtin_folder() / "artist")
    assert held == {path: data for path, data in ours.items() if path != "README.md"}


def test_a_model_with_a_base_is_packed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nutshell.store import bundle_gather

    for path in (
        "whole/unet/x.safetensors",
        "whole/vae/x.safetensors",
        "whole/model_index.json",
        "whole/calibration.json",
        "half/unet/y.safetensors",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    (tmp_path / "half" / "model_index.json").write_bytes(b"{}")
    known = {"whole": ModelCard("whole", "t", "MIT", folder="whole")}
    known["half"] = ModelCard("half", "t", "MIT", folder="half", base="whole")
    monkeypatch.setattr(bundle_gather, "cards", lambda: known)
    monkeypatch.setattr(bundle_gather, "builtin_folder", lambda: tmp_path)
    made = gather("half", Places())
    paths = {file.path for file in made.model.manifest.files}
    assert paths == {"model_index.json", "unet/y.safetensors", "vae/x.safetensors", "LICENSE"}
    whole = gather("whole", Places())
    assert "calibration.json" in {file.path for file in whole.model.manifest.files}


def test_a_model_of_the_store_and_one_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, places = Store(tmp_path / "store"), Places(store=tmp_path / "store")
    for data in FILES.values():
        store.add_blob(io.BytesIO(data), hashlib.sha256(data).hexdigest(), len(data))
    store.put(packed(tmp_path, "fetched", FILES).model.manifest)
    assert gather("fetched", places).model.manifest == store.manifest("fetched")

    monkeypatch.setenv("NUTSHELL_CARDS", str(tmp_path / "cards"))
    (tmp_path / "cards").mkdir()
    (tmp_path / "castle.safetensors").write_bytes(b"weights")
    (tmp_path / "cards" / "castle.toml").write_text('title="t"\nlicence="MIT"\npath="../castle.safetensors"')
    own = gather("castle", places).model
    assert [file.path for file in own.manifest.files] == ["castle.safetensors"]
    assert own.card is not None
    with pytest.raises(ModelNotFound, match="not on this machine") as caught:
        gather("sdxl", places)
    assert caught.value.hint == "nutshell pull sdxl"
    with pytest.raises(ModelNotFound, match="no model named 'nobody'") as caught:
        gather("nobody", places)
    assert "artist, castle" in caught.value.hint


def test_a_model_that_lies_elsewhere(tmp_path: Path) -> None:
    """On a stick that is a store, on one that holds plain folders, in the user's own folder."""
    stick = Store(tmp_path / "stick")
    for data in FILES.values():
        stick.add_blob(io.BytesIO(data), hashlib.sha256(data).hexdigest(), len(data))
    stick.put(packed(tmp_path, "carried", FILES).model.manifest)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "drawn.safetensors").write_bytes(b"weights")
    places = Places(yours=tmp_path / "plain", sticks=lambda: (stick.folder,))
    assert gather("carried", places).model.manifest == stick.manifest("carried")
    target = tmp_path / "both.nut"
    export_bundle([gather("carried", places), gather("drawn", places)], target)
    other = Store(tmp_path / "other")
    import_bundle(target, other)
    assert content(other.view("drawn")) == {"drawn.safetensors": b"weights"}
    assert content(other.view("carried")) == FILES


def test_a_damaged_model_is_not_exported(tmp_path: Path) -> None:
    made = packed(tmp_path, "one", FILES)
    (tmp_path / "one" / "vae" / "v").write_bytes(SHARED[:-1] + b"?")
    with pytest.raises(CorruptFile, match="is not what it was"):
        export_bundle([made], tmp_path / "x.nut")
    (tmp_path / "one" / "vae" / "v").unlink()
    with pytest.raises(CorruptFile, match="cannot be read"):
        export_bundle([made], tmp_path / "x.nut")
    assert not list(tmp_path.glob("*.nut"))
    assert not list(tmp_path.glob(".*.part"))


def test_no_room(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_write, "free_bytes", lambda folder: 1000)
    with pytest.raises(OutputError, match="needs 0 MB and 0 MB are free"):
        export_bundle([packed(tmp_path, "one", FILES)], tmp_path / "x.nut")
    monkeypatch.setattr(bundle_read, "free_bytes", lambda folder: 1000)
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match="MB free"):
        import_bundle(bundle, store)
    assert content(store.folder).keys() <= {".lock"}


def test_a_file_of_nine_gigabytes_has_a_header_that_tars_read() -> None:
    read = tarfile.TarInfo.frombuf(header("blobs/x", 9 * 2**30), "utf-8", "strict")
    assert (read.name, read.size) == ("blobs/x", 9 * 2**30)


def test_a_folder_without_wheels(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no wheels"):
        wheel_files(tmp_path)


def test_contents_survive_being_written(tmp_path: Path) -> None:
    contents, _ = plan_bundle([packed(tmp_path, "one", FILES)])
    assert Contents.from_json(contents.to_json(), "x") == contents
    assert json.loads(contents.to_json())["format"] == 1
