"""From what a user types to a model's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutshell.catalogue import cards
from nutshell.errors import ModelError, ModelNotFound
from nutshell.store import Found, Store, builtin_folder, find, installed
from nutshell.store.places import Places
from tests.store.test_store import add


def test_finds_the_builtin_model() -> None:
    found = find("artist")
    assert found.path == builtin_folder() / "artist"
    assert (found.path / "model_index.json").is_file()
    assert found.card is not None
    assert found.card.name == "artist"


def test_a_builtin_model_may_share_parts() -> None:
    found = find("artist-turbo")
    assert found.path == builtin_folder() / "artist-turbo"
    assert found.base == builtin_folder() / "artist"
    assert all(installed(card) for card in cards().values() if card.folder)


def test_finds_paths_and_names_in_folders(tmp_path: Path) -> None:
    file = tmp_path / "some model.safetensors"
    file.touch()
    assert find(file) == Found(file)
    assert find("some model.safetensors", Places(yours=tmp_path)).path == file
    assert find("some model", Places(yours=tmp_path)).path == file


@pytest.mark.parametrize(
    ("typed", "says"),
    [("artits", "no model named 'artits'"), ("./nowhere/model", "no file or folder"), ("x.safetensors", "no file")],
)
def test_says_what_is_not_there(typed: str, says: str) -> None:
    with pytest.raises(ModelNotFound, match=says) as caught:
        find(typed)
    assert caught.value.hint


DREAM = {"dream.safetensors": b"weights"}
FOLDER = {"model_index.json": b"{}", "unet/diffusion_pytorch_model.safetensors": b"weights"}


def test_finds_what_was_fetched_with_its_card(tmp_path: Path) -> None:
    store, places = Store(tmp_path), Places(store=tmp_path)
    assert not installed(cards()["bk-sdm-tiny"], places)
    add(store, "bk-sdm-tiny", FOLDER)
    add(store, "hf:owner/dream", DREAM)
    found = find("bk-sdm-tiny", places)
    assert (found.path, found.card) == (store.view("bk-sdm-tiny"), cards()["bk-sdm-tiny"])
    assert find(found) is found
    assert installed(cards()["bk-sdm-tiny"], places)
    # A single checkpoint is a file and no folder.
    assert find("hf:owner/dream", places) == Found(store.view("hf:owner/dream") / "dream.safetensors")


def test_a_store_whose_folders_are_gone_is_mended(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, "mine", FOLDER)
    for path in store.view("mine").rglob("*.*"):
        path.unlink()
    assert (find("mine", Places(store=tmp_path)).path / "model_index.json").read_bytes() == b"{}"


def test_a_damaged_model_says_how_to_mend_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    manifest = add(store, "mine", FOLDER)
    for path in (store.view("mine") / "model_index.json", store.blob(manifest.files[0].sha256)):
        path.unlink()
    with pytest.raises(ModelError, match=r"lacks model_index\.json") as caught:
        find("mine", Places(store=tmp_path))
    assert "nutshell pull mine" in caught.value.hint


def test_sticks_are_used_in_place_as_stores_and_as_plain_folders(tmp_path: Path) -> None:
    stick, plain = tmp_path / "stick", tmp_path / "plain"
    add(Store(stick), "mine", FOLDER)
    (plain / "theirs").mkdir(parents=True)
    (plain / "one.safetensors").touch()
    places = Places(store=tmp_path / "store", sticks=lambda: (stick, plain))
    assert find("mine", places).path == stick / "models" / "mine"
    assert find("theirs", places).path == plain / "theirs"
    assert find("one", places).path == plain / "one.safetensors"
    assert not (tmp_path / "store").exists()
    # The file is as it was: nothing was copied or moved.
    (stick / "manifests" / "mine.json").write_text("half")
    with pytest.raises(ModelNotFound):
        find("mine", places)


def test_a_size_that_nobody_knows_is_not_told() -> None:
    with pytest.raises(ModelNotFound, match=r"ssd-1b is not on this machine[^(]*$"):
        find("ssd-1b")


def test_a_known_model_that_is_not_here_says_its_size_and_the_command() -> None:
    with pytest.raises(ModelNotFound, match=r"bk-sdm-tiny is not on this machine \(.* [MG]B to download\)") as caught:
        find("bk-sdm-tiny", Places())
    assert caught.value.hint == "fetch it: nutshell pull bk-sdm-tiny"
    with pytest.raises(ModelNotFound, match="hf:owner/name is not on this machine") as caught:
        find("hf:owner/name", Places())
    assert caught.value.hint == "fetch it: nutshell pull hf:owner/name"


def test_a_folder_of_pictures_does_not_hide_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bk-sdm-tiny").mkdir()
    with pytest.raises(ModelNotFound, match="not on this machine"):
        find("bk-sdm-tiny", Places())
