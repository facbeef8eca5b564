"""Collect the sentences of the program and keep its catalogues in step with them.

    python -m tools.catalogues                  # rewrite nutshell.pot, bring each .po up to date, compile the .mo
    python -m tools.catalogues --check          # say what is out of date, untranslated or wrong, and change nothing
    python -m tools.catalogues --missing        # print what has no translation, as JSON
    python -m tools.catalogues --take FILE      # take translations from such a JSON: {"English": "translation"}

Sentences are the first arguments of `tr` and `join` in the code, and what people read of the model cards. The
format is GNU gettext's, so Poedit, Weblate and their like open the .po files.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from string import Formatter

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SOURCE = Path(__file__).parents[1] / "src" / "nutshell"
FOLDER = SOURCE / "language"
LANGUAGES = ("zh_CN",)
FUNCTIONS = ("tr", "join")
CARD_KEYS = ("title", "runnable")
HEADER = """\
# Sentences of Nutshell. Made by `python -m tools.catalogues`; in the .po files only the translations are
# edited by hand.
"""
# The same content gives the same file.
CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def messages() -> Iterator[tuple[str, str]]:
    """Every sentence of the code and the cards, with the file it stands in."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            # Babel's own extractor would take every ", ".join(...) too.
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
                text = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
                if text:
                    yield text, path.relative_to(SOURCE).as_posix()
    for path in sorted((SOURCE / "catalogue" / "cards").glob("*.toml")):
        card = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in CARD_KEYS:
            if card.get(key):
                yield card[key], path.relative_to(SOURCE).as_posix()


def template() -> Catalog:
    """The English catalogue."""
    catalogue = _empty()
    for text, place in messages():
        catalogue.add(text, locations=[(place, 0)])
    return catalogue


def translated(language: str, english: Catalog) -> Catalog:
    """What there is in a language, for the sentences of now; a sentence that changed has lost its translation."""
    path = po_path(language)
    known = Catalog()
    if path.exists():
        known = read_po(io.BytesIO(path.read_bytes()), locale=language)
    catalogue = _empty(language)
    for message in english:
        if message.id:
            found = known.get(message.id)
            words = found.string if found is not None and not found.fuzzy else ""
            catalogue.add(message.id, words, locations=message.locations, flags=message.flags)
    return catalogue


def faults(catalogue: Catalog) -> Iterator[str]:
    """What is wrong with the translations: missing, other places for values, blanks at an end lost or won."""
    for message in catalogue:
        if not message.id:
            continue
        english, words = str(message.id), str(message.string)
        if not words:
            yield f"not translated: {english!r}"
            continue
        if places(english) != places(words):
            yield f"the values of {english!r} are not those of {words!r}"
        if [english[:1] == "\n", english[-1:] == "\n"] != [words[:1] == "\n", words[-1:] == "\n"]:
            yield f"a line break at an end of {english!r} is not in {words!r}"


def places(text: str) -> set[str]:
    """The names of the values in a template; {{ }} and text that is no template have none."""
    try:
        return {name for _, name, _, _ in Formatter().parse(text) if name}
    except ValueError:
        return set()


def po_path(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / "nutshell.po"


def files() -> Iterator[tuple[Path, bytes]]:
    """Every file of the catalogues, as it should be."""
    english = template()
    yield FOLDER / "nutshell.pot", _po(english)
    for language in LANGUAGES:
        catalogue = translated(language, english)
        yield po_path(language), _po(catalogue)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        yield po_path(language).with_suffix(".mo"), compiled.getvalue()


def check() -> list[str]:
    """What is out of date, untranslated or wrong."""
    found = [f"{path.name} is out of date" for path, content in files() if _content(path) != content]
    for language in LANGUAGES:
        found += [f"{language}: {fault}" for fault in faults(translated(language, template()))]
    return found


def take(language: str, words: dict[str, str]) -> None:
    """Put translations into a language's catalogue."""
    catalogue = translated(language, template())
    for english, translation in words.items():
        message = catalogue.get(english)
        if message is not None:
            message.string = translation
    path = po_path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_po(catalogue))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--take", type=Path, metavar="FILE")
    parser.add_argument("--language", default="zh_CN", choices=LANGUAGES)
    arguments = parser.parse_args()
    if arguments.missing:
        catalogue = translated(arguments.language, template())
        missing = {str(message.id): "" for message in catalogue if message.id and not message.string}
        print(json.dumps(missing, ensure_ascii=False, indent=1))
        return 0
    if arguments.check:
        found = check()
        print("\n".join(found) or "all catalogues are in step")
        return int(bool(found))
    if arguments.take is not None:
        take(arguments.language, json.loads(arguments.take.read_text(encoding="utf-8")))
    for path, content in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return 0


def _empty(language: str | None = None) -> Catalog:
    return Catalog(
        language,
        "nutshell",
        HEADER,
        project="nutshell",
        version="",
        last_translator="",
        language_team="",
        msgid_bugs_address="",
        creation_date=CREATED,
        revision_date=CREATED,
        charset="utf-8",
        fuzzy=False,
    )


def _po(catalogue: Catalog) -> bytes:
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=110, sort_output=True, include_lineno=False)
    return buffer.getvalue()


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


if __name__ == "__main__":
    sys.exit(main())
