"""`nutshell`: find the command, and do it.

Nothing heavy is imported here, so that `nutshell --help` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Any

from nutshell import __version__
from nutshell.cli.report import Signals, run, speak_utf8
from nutshell.cli.speech import LANG_FLAG, speak, wanted_language
from nutshell.errors import UsageError
from nutshell.language import Text, tr

COMMANDS: dict[str, Text] = {
    "generate": tr("draw pictures from a prompt (the default: the word may be left out)"),
    "inspect": tr("show how a picture was made, or what a model file holds"),
    "models": tr("list what this machine can run, best first, with time and memory"),
    "plan": tr("explain how a model would be run here, and why so"),
    "calibrate": tr("watch a model draw, so that it can draw in eight bits: faster, in less memory"),
    "bench": tr("measure this machine, for the estimates of models and plan"),
    "serve": tr("draw for people and programs over HTTP: a page, and what other tools speak"),
    "pull": tr("fetch a model, or what is missing of it"),
    "remove": tr("delete a fetched model"),
    "list": tr("list the models that were fetched, and those on removable drives"),
    "verify": tr("read every byte of fetched models and compare with their hashes"),
    "add": tr("give a model file of your own a name"),
    "compress": tr("make a model smaller: prune, lowrank, quantize, distil, and a report of what it cost"),
    "export": tr("put models into one file, for a machine without network"),
    "import": tr("take in the models of such a file"),
    "doctor": tr("say what this machine is, what is wrong with it and how to mend it"),
}


def main(argv: Sequence[str] | None = None, load: Callable[..., Any] | None = None) -> int:
    """Run the command line and return its exit code. `load`: another `nutshell.load`, for tests."""
    words = list(sys.argv[1:] if argv is None else argv)
    speak_utf8()
    speak(wanted_language(words))
    signals = Signals()
    as_json, debug = "--json" in words, "--debug" in words
    return run(lambda: _dispatch(words, signals, load), as_json=as_json, debug=debug)


def _dispatch(words: list[str], signals: Signals, load: Callable[..., Any] | None) -> int:
    first = next(without_global_flags(words), None)
    if first in ("-h", "--help", "help"):
        _print_help()
        return 0
    if first in ("--version", "-V"):
        print(f"nutshell {__version__}")
        return 0
    signals.install()
    if first is None:
        from nutshell.cli import menu

        return menu.main(words, load=load, signals=signals)
    if first in COMMANDS:
        words.remove(first)
        command = first
    else:
        _refuse_misspelling(words)
        command = "generate"
    # A word of Python's own cannot name a module that others import.
    module = importlib.import_module(f"nutshell.cli.{command}" + ("_" if iskeyword(command) else ""))
    wanted: dict[str, Any] = {} if command not in ("generate", "calibrate") else {"signals": signals}
    if command == "generate":
        wanted["load"] = load
    code: int = module.main(words, **wanted)
    return code


def without_global_flags(words: Sequence[str]) -> Iterator[str]:
    """The words less those flags that any command takes and that may stand before its name."""
    rest = iter(words)
    for word in rest:
        if word == LANG_FLAG:
            next(rest, None)
        elif word != "--debug" and not word.startswith(f"{LANG_FLAG}="):
            yield word


def _print_help() -> None:
    from nutshell.cli.overview import overview

    for line in overview(COMMANDS):
        print(line)


def _refuse_misspelling(words: Sequence[str]) -> None:
    """`nutshell inspekt cat.png` means a command, not a picture of these words."""
    close = difflib.get_close_matches(words[0], COMMANDS, 1, 0.8)
    if close and (len(words) == 1 or words[1].startswith("-") or Path(words[1]).exists()):
        raise UsageError(
            tr("there is no command {word!r}", word=words[0]),
            tr(
                "did you mean `nutshell {close}`? To draw these words: nutshell generate {word} ...",
                close=close[0],
                word=words[0],
            ),
        )


if __name__ == "__main__":
    sys.exit(main())
