"""The page's files, and how they are served: nothing here needs a browser."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nutshell.sampling.registry import SAMPLERS
from nutshell.service.http.page import FOLDER
from nutshell.settings import BY_NAME
from tests.service.serving import Served

Serve = Callable[..., Served]

_VOID = {"meta", "link", "img", "input", "br"}
# Keys that are put together where they are used: say(`size.${name}`).
_FAMILIES = {
    "size.": ("tall", "wide", "small", "large"),
    "verdict.": ("well", "slowly", "too_large", "not_yet"),
    "precision.": BY_NAME["precision"].kind.names,
}


def words(language: str) -> dict[str, str | list[str]]:
    table: dict[str, str | list[str]] = json.loads((FOLDER / "words" / f"{language}.json").read_text("utf-8"))
    return table


def scripts() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.js")}


class Elements(HTMLParser):
    """Every element's name, attributes and own text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = tag, dict(attrs), list[str]()
        self.all.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1][2].append(data)


def index() -> Elements:
    return Elements((FOLDER / "index.html").read_text("utf-8"))


# ---------------------------------------------------------------- served


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/words/zh.json", "application/json"),
        ("/page/icon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ],
)
def test_a_file_comes_with_its_type_and_as_it_lies(serve: Serve, path: str, kind: str) -> None:
    name = {"/": "index.html", "/favicon.ico": "icon.svg"}.get(path, path.removeprefix("/page/"))
    with serve().client() as client:
        for coding in ("identity", "gzip"):
            answer = client.get(path, headers={"Accept-Encoding": coding})
            assert answer.status_code == 200
            assert answer.headers["content-type"] == kind
            assert answer.headers.get("content-encoding", "identity") == coding
            assert answer.content == (FOLDER / name).read_bytes()


def test_who_has_a_file_is_not_sent_it_again(serve: Serve) -> None:
    with serve().client() as client:
        first = client.get("/page/main.js")
        tag = first.headers["etag"]
        # no-cache: a browser asks each time, so that an update of Nutshell is seen at once.
        assert first.headers["cache-control"] == "no-cache"
        for known in (tag, f'"other", W/{tag}'):
            again = client.get("/page/main.js", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get("/page/main.js", headers={"If-None-Match": '"other"'}).status_code == 200
        assert client.get("/page/style.css", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/", "/page/none.js", "/page/../http/page.py", "/page/%2e%2e/http/page.py", "/page//etc/passwd"]
)
def test_nothing_but_the_page_is_served(serve: Serve, path: str) -> None:
    with serve().client() as client:
        assert client.get(path).status_code == 404


def test_the_page_weighs_less_than_150_kB() -> None:
    packed = {path.name: len(gzip.compress(path.read_bytes())) for path in FOLDER.rglob("*") if path.is_file()}
    assert sum(packed.values()) < 150_000, packed


# ---------------------------------------------------------------- what they hold


def test_there_is_no_script_or_style_in_the_page_itself() -> None:
    """The Content-Security-Policy forbids them, and anything from another host."""
    for name, attributes, text in index().all:
        assert "style" not in attributes
        assert not [key for key in attributes if key.startswith("on")], attributes
        assert name != "style"
        if name == "script":
            assert attributes.get("src")
            assert not "".join(text).strip()
        for key in ("src", "href"):
            assert "//" not in (attributes.get(key) or "")


def test_no_file_names_another_host() -> None:
    own = {"http://www.w3.org/2000/svg"}  # a namespace, which nobody fetches
    for path in FOLDER.rglob("*"):
        if path.suffix in {".js", ".css", ".html", ".svg", ".json"}:
            code = re.sub(r"^\s*//.*$", "", path.read_text("utf-8"), flags=re.MULTILINE)
            assert set(re.findall(r"https?://[\w./-]+", code)) <= own, path.name


def test_every_module_that_is_imported_is_there_and_every_file_is_used() -> None:
    loaded = {Path(attributes["src"] or "").name for name, attributes, _ in index().all if name == "script"}
    # Told to the browser at once, or each would be asked for only when what imports it has come.
    ahead = {
        Path(attributes["href"] or "").name
        for _, attributes, _ in index().all
        if attributes.get("rel") == "modulepreload"
    }
    imported = {name for text in scripts().values() for name in re.findall(r'from "\./([\w.]+)"', text)}
    assert imported | loaded == set(scripts())
    assert ahead == imported


def test_every_sentence_is_there_in_both_languages() -> None:
    english, chinese = words("en"), words("zh")
    assert list(english) == list(chinese)
    for key, sentence in english.items():
        assert type(chinese[key]) is type(sentence), key
        if isinstance(sentence, str):
            assert sorted(re.findall(r"\{\w+\}", sentence)) == sorted(re.findall(r"\{\w+\}", str(chinese[key]))), key
            assert sentence.strip()
            assert str(chinese[key]).strip()
    # A prompt in one language is one in the other.
    assert len(english["examples"]) == len(chinese["examples"])


def test_every_sentence_that_is_used_is_there_and_none_beside_them() -> None:
    used = {
        str(attributes[kind])
        for _, attributes, _ in index().all
        for kind in ("data-words", "data-words-label", "data-words-placeholder")
        if kind in attributes
    }
    for text in scripts().values():
        # Every string of the form of a key: a.b, or a lone word that say() or list() is given.
        used |= set(re.findall(r'"([a-z]+\.[a-z_]+)"', text))
        used |= {
            key
            for call in re.findall(r"\b(?:say|list)\(([^()]*)", text)
            for key in re.findall(r'(?<!=== )"(\w+)"', call)
        }
        for family in re.findall(r"say\(`([a-z]+\.)\$", text):
            used |= {family + name for name in _FAMILIES[family]}
    used = {key for key in used if not key.startswith("nutshell.")}
    assert used == set(words("en"))


def test_the_page_reads_in_english_before_its_words_have_come() -> None:
    english = words("en")
    for _, attributes, text in index().all:
        if "data-words" in attributes:
            assert "".join(text) == english[str(attributes["data-words"])]
        if "data-words-label" in attributes:
            assert attributes["aria-label"] == english[str(attributes["data-words-label"])]
        if "data-words-placeholder" in attributes:
            assert attributes["placeholder"] == english[str(attributes["data-words-placeholder"])]


def test_the_samplers_are_those_that_there_are() -> None:
    table = re.search(r"const SAMPLERS = \{(.*?)\};", scripts()["settings.js"], re.DOTALL)
    assert table
    offered = dict(re.findall(r'(\w+): "([^"]+)"', table[1]))
    assert offered == {sampler.name: sampler.title for sampler in SAMPLERS}


def test_the_page_offers_the_precisions_and_savings_of_the_settings() -> None:
    table = re.search(r"const PRECISIONS = \[(.*?)\];", scripts()["settings.js"])
    assert table is not None
    assert tuple(re.findall(r'"(\w+)"', table[1])) == BY_NAME["precision"].kind.names
    fields = {attributes.get("name") for _, attributes, _ in index().all}
    assert {"precision", "fast", "reuse", "merge", "fewer_keys", "int8_attention"} <= fields
