"""`nutshell models`: what can be given to --model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nutshell.cli.options import add_settings, make_parser, settle

DESCRIPTION = "List the models that come with the program, and those in the folder --models."
GIVEN = "yours"
NOT_HERE = "not on this machine"


def main(words: Sequence[str]) -> int:
    parser = make_parser("models", DESCRIPTION)
    add_settings(parser, "models", "json", "log_level")
    settings = settle(parser.parse_args(words))
    for row in (*built_in(), *given(settings["models"])):
        if settings["json"]:
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(f"{row['name']:<20}  {row['title']}" + ("" if row["installed"] else f"  ({NOT_HERE})"))
    return 0


def built_in() -> Iterator[dict[str, Any]]:
    """The models that have a card."""
    from nutshell.catalogue import cards
    from nutshell.store import installed

    for card in cards().values():
        yield {"name": card.name, "title": card.title, "licence": card.licence, "installed": installed(card)}


def given(folder: Path | None) -> Iterator[dict[str, Any]]:
    """Model folders and single files in the user's own folder."""
    if folder is None:
        return
    if not folder.is_dir():
        from nutshell.errors import UsageError

        raise UsageError(f"there is no folder of models {folder}", "correct --models, or NUTSHELL_MODELS")
    for path in sorted(folder.iterdir()):
        if (path / "model_index.json").exists() or path.suffix == ".safetensors":
            yield {"name": path.name, "title": f"{GIVEN}: {path}", "licence": "", "installed": True}
