"""Sentences and their translation, with a catalogue of three sentences."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.mofile import write_mo

from nutshell.errors import UsageError
from nutshell.language import Text, Translation, best_language, join, read_language, tr, translation


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Translation]:
    catalogue = Catalog("de")
    for english, words in {
        "no folder {path!r}": "{path!r}: kein Ordner",
        "{size:.1f} GB": "{size:.2f} GB",
        "it failed: {error}": "Fehler: {error}",
        "wrong {name}": "falsch {nome}",
        "; ": " / ",
        "100%": "hundert",
    }.items():
        catalogue.add(english, words)
    content = io.BytesIO()
    write_mo(content, catalogue)
    (tmp_path / "de" / "LC_MESSAGES").mkdir(parents=True)
    (tmp_path / "de" / "LC_MESSAGES" / "nutshell.mo").write_bytes(content.getvalue())
    monkeypatch.setattr(translation, "__file__", str(tmp_path / "translation.py"))
    monkeypatch.setattr(translation, "_FOLDERS", {"de": "de"})
    return Translation("de")


def test_a_text_is_a_string() -> None:
    text = tr("no folder {path!r}, {size:.1f} GB", path="a b", size=2)
    assert text == "no folder 'a b', 2.0 GB"
    assert isinstance(str(text), Text)
    assert str(UsageError(text)) == text
    assert tr("{braces} alone") == "{braces} alone"
    for copied in (copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert (copied, copied.template, copied.values) == (text, text.template, text.values)
    joined = join("; ", [text, "b"])
    assert pickle.loads(pickle.dumps(joined)).parts == (text, "b")


def test_translated_with_all_that_is_in_it(german: Translation) -> None:
    size = tr("{size:.1f} GB", size=1.25)
    assert german(tr("no folder {path!r}", path="x")) == "'x': kein Ordner"
    assert german(join("; ", [size, "plain", tr("no folder {path!r}", path="y")])) == (
        "1.25 GB / plain / 'y': kein Ordner"
    )
    inner = UsageError(tr("no folder {path!r}", path="z"))
    assert german(tr("it failed: {error}", error=inner)) == "Fehler: 'z': kein Ordner"
    assert german(str(inner)) == "'z': kein Ordner"
    assert german(tr("it failed: {error}", error=OSError(2, "none"))) == "Fehler: [Errno 2] none"
    assert german("100%") == "hundert"


def test_what_is_not_known_stays(german: Translation) -> None:
    assert german(tr("unheard of {thing}", thing=1)) == "unheard of 1"
    assert german("") == ""
    assert german(tr("wrong {name}", name="n")) == "wrong n"  # the catalogue's place has another name
    assert Translation("en")(tr("no folder {path!r}", path="x")) == "no folder 'x'"
    assert Translation("xx")("no") == "no"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_SG"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:zh_CN:en"}, "zh"),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "de"}, "en"),
        ({"LANG": "zh_TW.Big5"}, "zh"),
        ({"LANG": "zhuang"}, "en"),
    ],
)
def test_the_locale_decides(environment: dict[str, str], language: str) -> None:
    assert best_language(environment, windows=str) == language


def test_windows_is_asked_where_no_variable_says() -> None:
    assert best_language({}, windows=lambda: "zh_CN") == "zh"
    assert best_language({"LANG": "en_US"}, windows=lambda: "zh_CN") == "en"
    assert best_language({}, windows=lambda: "sv_SE") == "en"


@pytest.mark.parametrize("text", ["zh", "ZH-Hans", "zh_CN.UTF-8", "中文", "简体中文", "Chinese"])
def test_how_people_write_chinese(text: str) -> None:
    assert read_language(text) == "zh"


@pytest.mark.parametrize("text", ["xx", "z", "français"])
def test_languages_that_are_not_there(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read_language(text)
