"""`nutshell compress`: make a model smaller, and say what it cost."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

from nutshell.cli.help_text import examples_lines, exit_code_lines, help_columns, rows, usage_lines
from nutshell.cli.main import without_global_flags
from nutshell.cli.speech import wrapped
from nutshell.errors import UsageError
from nutshell.language import Text, tr

DESCRIPTION = tr(
    "Make a model smaller. Each method writes a new folder in the diffusers layout, with a history of all that was "
    "done to it, and goes on where it was broken off. All but distil do without PyTorch."
)
METHODS: dict[str, Text] = {
    "prune": tr("take out blocks, channels or heads: less disk, memory and time, but it must be trained again"),
    "lowrank": tr("put linear layers together of their strongest directions"),
    "quantize": tr("store weights in eight or four bits: less disk"),
    "distil": tr("let a smaller model learn from the one that it was made of; needs PyTorch"),
    "report": tr("compare two models: size, work, time, memory and pictures"),
}
EXAMPLES = (
    "nutshell compress prune stable-diffusion-v1-5 --recipe tiny --output tiny",
    "nutshell compress quantize artist --bits int8 --output artist-int8",
    "nutshell compress distil tiny --teacher stable-diffusion-v1-5 --examples pictures/ --output taught",
    "nutshell compress report artist artist-int8",
)
METHODS_TITLE = tr("methods:")
MORE = tr("nutshell compress METHOD --help tells more.")


def main(words: Sequence[str]) -> int:
    first = next((word for word in without_global_flags(words) if not word.startswith("-")), None)
    if first is None:
        if not {"-h", "--help"} & set(words) and words:
            raise UsageError(tr("say which method: {names}", names=", ".join(METHODS)), MORE)
        _print_help()
        return 0
    if first not in METHODS:
        close = difflib.get_close_matches(first, METHODS, 1)
        raise UsageError(
            tr("compress has no method {name!r}", name=first),
            tr("did you mean {name}?", name=close[0]) if close else tr("known: {names}", names=", ".join(METHODS)),
        )
    rest = list(words)
    rest.remove(first)
    code: int = importlib.import_module(f"nutshell.cli.compress_{first}").main(rest)
    return code


def _print_help() -> None:
    from nutshell.cli.speech import words

    columns = help_columns()
    lines = [
        *usage_lines("nutshell compress", [["[-h]", "METHOD", "..."]], columns),
        "",
        *wrapped(DESCRIPTION, columns=columns),
        "",
        words(METHODS_TITLE),
        *rows(METHODS, columns, 24),
        "",
        *wrapped(MORE, columns=columns),
        *examples_lines(EXAMPLES),
        *exit_code_lines(),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
