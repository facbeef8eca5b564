"""What a user may type, and where it is fetched from, nearest first."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutshell.catalogue import ModelCard, Source
from nutshell.errors import ModelNotFound, UsageError
from nutshell.settings import resolve
from nutshell.store.local import OtherStore, PlainFolder
from nutshell.store.store import Store
from nutshell.store.web import Web
from nutshell.store.wish import origins, read_wish
from tests.store.test_store import FILES, add

TWO = (Source("huggingface", "o/n", "main"), Source("modelscope", "O/N", "master"))
CARDS = {
    "known": ModelCard("known", "t", "MIT", sources=TWO, files=("*.safetensors",)),
    "artist": ModelCard("artist", "t", "MIT", folder="artist"),
    "lost": ModelCard("lost", "t", "MIT"),
}


def test_a_card_and_a_repository() -> None:
    wish = read_wish("known", CARDS)
    assert (wish.sources, wish.wanted.patterns, wish.wanted.licence) == (TWO, ("*.safetensors",), "MIT")
    assert read_wish("hf:o/n", CARDS).sources == TWO[:1]
    assert read_wish("ms:O/N@v1.0", CARDS).sources == (Source("modelscope", "O/N", "v1.0"),)
    assert read_wish("anything", CARDS, elsewhere=True).sources == ()


@pytest.mark.parametrize(
    "text", ["hf:", "hf:o", "hf:../n", "hf:o/n@../x", "zz:o/n", "hf:o/n/p", "artist", "lost", "hf:o n/x"]
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_wish(text, CARDS)
    assert caught.value.hint


def test_a_mistyped_name_is_guessed() -> None:
    with pytest.raises(ModelNotFound) as caught:
        read_wish("knwon", CARDS)
    assert caught.value.hint == "did you mean known?"


def test_sources_are_asked_nearest_first(tmp_path: Path) -> None:
    add(Store(tmp_path), "known", FILES)
    environment = {"NUTSHELL_CONFIG": "", "NUTSHELL_PEERS": "http://peer:1", "NUTSHELL_HUB": "modelscope"}
    settings, wish = resolve({}, environment), read_wish("known", CARDS)
    with Web() as web:
        found = [origin.where for origin in origins(wish, settings, web, stick=[tmp_path])]
        assert found == [str(tmp_path), "http://peer:1", "www.modelscope.cn", "huggingface.co"]
        (only,) = origins(wish, settings, web, folder=tmp_path)
        assert isinstance(only, OtherStore)
        (plain,) = origins(wish, settings, web, folder=Store(tmp_path).view("known"))
        assert isinstance(plain, PlainFolder)
