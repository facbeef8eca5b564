"""`nutshell` alone: on a terminal a list of models to choose from and then to draw with, elsewhere the plain list."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from nutshell.cli.options import make_parser, settle
from nutshell.cli.planning import machine_line
from nutshell.cli.report import Signals, fancy
from nutshell.cli.speech import say, wrapped
from nutshell.language import tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.cli.menu_draw import Studio, Trying
    from nutshell.pipeline.model_rows import Row

DESCRIPTION = tr("Choose a model that runs on this machine, and draw with it.")
WHICH = tr("Which model shall draw?")
KEYS = tr("arrow keys; type to search; Ctrl-D ends")
NONE_RUNS = tr("No model runs on this machine as it is: nutshell models says what each would need.")


def main(words: Sequence[str], *, load: Callable[..., Any] | None = None, signals: Signals) -> int:
    arguments = make_parser("", DESCRIPTION).parse_args(words)
    settings = settle(arguments)
    if settings["json"] or not all(map(fancy, (sys.stdin, sys.stdout, sys.stderr))):
        return _plain(words, settings)

    from nutshell.cli.menu_draw import Studio, Trying
    from nutshell.cli.menu_keys import Quit, name_terminal

    name_terminal()
    trying = Trying(signals, arguments.debug)
    with contextlib.suppress(Quit):
        _menu(settings, Studio(settings, load, trying), trying)
    return 0


def _plain(words: Sequence[str], settings: Settings) -> int:
    """What `nutshell models` prints, and how to go on."""
    from nutshell.cli import models

    code = models.main(words)
    if not settings["json"]:
        say(tr('nutshell "a red apple" draws with {name}.', name=settings["model"]))
    return code


def _menu(settings: Settings, studio: Studio, trying: Trying) -> None:
    """Until Quit is raised or chosen."""
    from nutshell.cli.menu_keys import choose, star
    from nutshell.cli.menu_lines import Question
    from nutshell.cli.menu_models import Other, columns, entries, runnable
    from nutshell.pipeline.model_rows import Row, model_rows
    from nutshell.plan.settled import planner_of

    planner = planner_of(settings)
    for line in wrapped(machine_line(planner), columns=get_terminal_size().columns):
        print(line)
    last: str | None = None
    while True:
        rows = runnable(model_rows(planner, settings))
        question = Question(WHICH if rows else NONE_RUNS, KEYS, columns(planner.rates.guessed), star())
        # Whoever comes back finds the list as it was left.
        start = next((place for place, row in enumerate(rows) if row.name == last), None)
        chosen = choose(question, entries(rows), start)
        if chosen is Other.QUIT:
            return
        if isinstance(chosen, Row):
            last = chosen.name
            if chosen.installed or _fetch(chosen, settings, trying):
                studio.visit(chosen.name)
        else:
            _doctor(trying)
        # Memory may have come free, and what a picture took corrects the next guess.
        planner = planner_of(settings)


def _doctor(trying: Trying) -> None:
    from nutshell.cli import doctor

    trying(lambda: doctor.main([]))


def _fetch(row: Row, settings: Settings, trying: Trying) -> bool:
    """Whether the model is here now."""
    from nutshell.cli.menu_keys import confirm
    from nutshell.cli.menu_models import licence
    from nutshell.cli.pull import fetch

    size = tr("{name} is not on this machine yet: {size} to download.", name=row.name, size=row.download)
    for sentence in filter(None, (size, licence(row))):
        for line in wrapped(sentence, columns=get_terminal_size().columns):
            print(line)
    if not confirm(tr("Fetch {name} now?", name=row.name)):
        return False

    def work() -> bool:
        fetch([row.name], settings)
        return True

    return bool(trying(work))
