"""The catalogues are those of the code, complete, and the program speaks them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages import Catalog

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def catalogues(repository: Path) -> ModuleType:
    """tools/catalogues.py."""
    sys.path.insert(0, str(repository))
    try:
        from tools import catalogues
    finally:
        sys.path.remove(str(repository))
    return catalogues


def test_all_is_collected_translated_and_compiled(catalogues: ModuleType) -> None:
    assert catalogues.check() == []


def test_what_is_wrong_is_found(catalogues: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there = list(catalogues.messages())
    monkeypatch.setattr(catalogues, "messages", lambda: iter([*there, ("a sentence nobody wrote", "new.py")]))
    found = catalogues.check()
    assert "nutshell.pot is out of date" in found
    assert any("not translated: 'a sentence nobody wrote'" in fault for fault in found)
    wrong = Catalog("zh_CN")
    wrong.add("{count} files", "{number} 个文件")
    wrong.add("two\n", "二")
    assert len(list(catalogues.faults(wrong))) == 2


def test_every_translation_is_chinese(catalogues: ModuleType) -> None:
    """... but for those that are names, figures, commands or separators in both languages."""
    for message in catalogues.translated("zh_CN", catalogues.template()):
        english, words = str(message.id), str(message.string)
        prose = re.sub(r"\{[^}]*\}|`[^`]*`|--?[\w-]+|\b[\w./-]*[A-Z0-9_./][\w./-]*\b", "", english)
        if len(re.findall(r"\b[a-z]{3,}\b", prose)) >= 3 and not english.startswith(("nutshell ", "pip ")):
            assert CHINESE.search(words), english


def _nutshell(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "NUTSHELL_LANG"))}
    return subprocess.run(
        [sys.executable, "-m", "nutshell.cli.main", *words],
        env={**plain, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (("--lang", "zh"), {}),
        (("--lang=zh",), {"LANG": "en_US.UTF-8"}),
        ((), {"LANG": "zh_CN.UTF-8"}),
        ((), {"NUTSHELL_LANG": "zh"}),
    ],
)
def test_an_error_in_chinese(words: tuple[str, ...], environment: dict[str, str], tmp_path: Path) -> None:
    done = _nutshell("inspect", str(tmp_path / "没有.png"), *words, **environment)
    assert done.returncode == 2
    error, hint = done.stderr.splitlines()
    assert CHINESE.search(error.replace("没有", ""))
    assert "没有.png" in error
    assert CHINESE.search(hint)


def test_help_in_chinese() -> None:
    done = _nutshell("generate", "--help", "--lang", "zh")
    assert done.returncode == 0
    prose = [line for line in done.stdout.splitlines() if re.search(r"[A-Za-z]{3,} [a-z]{3,} [a-z]{3,}", line)]
    assert [line for line in prose if "nutshell" not in line] == []


def test_a_language_that_is_not_there() -> None:
    done = _nutshell("list", "--lang", "fr")
    assert done.returncode == 2
    assert "--lang must be en (English) or zh (简体中文), not 'fr'" in done.stderr


def test_json_stays_english(tmp_path: Path) -> None:
    done = _nutshell("inspect", str(tmp_path / "none.png"), "--json", "--lang", "zh")
    assert done.returncode == 2
    assert not CHINESE.search(done.stderr)
