"""A user's own cards: over ours, and harmless when they are broken."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from nutshell.catalogue import Source, cards, own_cards, own_folder, read_card, shipped
from nutshell.errors import ModelError

CARD = 'title = "Mine"\nlicence = "MIT"\n'


def test_they_lie_beside_the_configuration_or_where_the_setting_says(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    assert own_folder({"NUTSHELL_CONFIG": str(config)}) == tmp_path / "cards"
    assert own_folder({"NUTSHELL_CONFIG": ""}) is None
    assert own_folder({"NUTSHELL_CONFIG": "", "NUTSHELL_CARDS": str(tmp_path)}) == tmp_path
    config.write_text(f'cards = "{tmp_path.as_posix()}/here"')
    assert own_folder({"NUTSHELL_CONFIG": str(config)}) == tmp_path / "here"


def test_they_are_added_and_take_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "my model.toml").write_text(CARD, encoding="utf-8")
    (tmp_path / "taesd.toml").write_text(CARD.replace("Mine", "Another"), encoding="utf-8")
    (tmp_path / ".hidden.toml").write_text("broken")
    (tmp_path / "artist.toml").write_text(CARD, encoding="utf-8")
    found = cards(tmp_path)
    assert found["my model"].title == "Mine"
    assert found["taesd"].title == "Another"
    assert found["artist"] == shipped()["artist"], "others build on the built-in models"
    assert set(found) == {*shipped(), "my model"}
    assert "my model" not in cards(tmp_path / "nowhere")


def test_a_path_is_relative_to_the_card(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CARD + 'path = "weights/a.safetensors"')
    (tmp_path / "b.toml").write_text(CARD + f"path = {str(tmp_path / 'b')!r}")
    assert read_card(tmp_path / "a.toml").path == str(tmp_path / "weights" / "a.safetensors")
    assert read_card(tmp_path / "b.toml").path == str(tmp_path / "b")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"title = ", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"#" + bytes(2_000_000), "too large for a card"),
        (b'title = "x"', "lacks licence"),
        (CARD.encode() + b'colour = "red"', "unknown key 'colour'"),
        (CARD.encode() + b'kind = "poem"', "kind must be one of text-to-image, autoencoder"),
        (CARD.encode() + b"commercial = 1", "commercial must be true or false, not 1"),
        (CARD.encode() + b"width = 500", "width must be a multiple of 8"),
        (CARD.encode() + b"steps = true", "steps must be a whole number"),
        (CARD.encode() + b'files = ["../secret"]', "files must be a list of relative patterns"),
        (CARD.encode() + b'files = ["/etc/passwd"]', "files must be"),
        (CARD.encode() + b'sources = [{hub = "elsewhere", repo = "a/b"}]', "a hub is one of huggingface, modelscope"),
        (CARD.encode() + b'sources = [{hub = "huggingface", repo = "a/../b"}]', "owner/name"),
        (CARD.encode() + b'sources = [{hub = "huggingface", repo = "a/b", revision = "../x"}]', "a revision is"),
        (CARD.encode() + b'sources = [{hub = "huggingface"}]', "a source has hub, repo"),
        (CARD.encode() + b"preview = [[1.0, 2.0]]", "three colours"),
        (CARD.encode() + b"parameters = {unet = -1}", "parameters must be"),
        (CARD.encode() + b'folder = "artist"', "folder and base are for built-in models"),
        (CARD.encode() + b'title = "twice"', "is not valid TOML"),
    ],
)
def test_a_broken_card_is_named_and_left_out(
    tmp_path: Path, text: bytes, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.toml").write_bytes(text)
    (tmp_path / "good.toml").write_text(CARD)
    with pytest.raises(ModelError, match=says) as caught:
        read_card(tmp_path / "broken.toml")
    assert "broken.toml" in str(caught.value)
    assert caught.value.hint
    found, wrong = own_cards(tmp_path)
    assert (list(found), len(wrong)) == (["good"], 1)
    with caplog.at_level(logging.WARNING):
        assert "good" in cards(tmp_path)
        cards(tmp_path)
    assert sum("broken.toml" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    folder.mkdir(mode=0)
    found, wrong = own_cards(folder)
    assert not found
    assert "cannot be read" in str(wrong[0])


def test_a_source_has_the_hubs_usual_revision() -> None:
    assert Source.read({"hub": "huggingface", "repo": "a/b"}).revision == "main"
    assert Source.read({"hub": "modelscope", "repo": "a/b"}).revision == "master"
