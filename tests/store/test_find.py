"""From what a user types to a model's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutshell.errors import ModelNotFound
from nutshell.store import Found, builtin_folder, find


def test_finds_the_builtin_model() -> None:
    found = find("artist")
    assert found.path == builtin_folder() / "artist"
    assert (found.path / "model_index.json").is_file()
    assert found.card is not None
    assert found.card.name == "artist"


def test_finds_paths_and_names_in_folders(tmp_path: Path) -> None:
    file = tmp_path / "some model.safetensors"
    file.touch()
    assert find(file) == Found(file)
    assert find("some model.safetensors", (tmp_path,)).path == file


@pytest.mark.parametrize(
    ("typed", "says"),
    [("artits", "no model named 'artits'"), ("./nowhere/model", "no file or folder"), ("x.safetensors", "no file")],
)
def test_says_what_is_not_there(typed: str, says: str) -> None:
    with pytest.raises(ModelNotFound, match=says) as caught:
        find(typed)
    assert caught.value.hint
