"""Drawing from the menu: one prompt after another, with a model that stays open."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nutshell.cli.drawing import draw, open_model, request_of
from nutshell.cli.menu_keys import ask, new_history
from nutshell.cli.outputs import Outputs
from nutshell.cli.progress import Show
from nutshell.cli.report import STOPPED, Signals, Stopped, tell, tell_error
from nutshell.cli.speech import say
from nutshell.errors import NO_HINT, Cancelled
from nutshell.language import tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from prompt_toolkit.history import History

T = TypeVar("T")

WHAT = tr("What shall I draw?")
EXAMPLE = tr("for example: a red apple")


@dataclass(frozen=True)
class Trying:
    """Does what may go wrong or be stopped without the menu ending."""

    signals: Signals
    debug: bool = False

    def __call__(self, work: Callable[[], T]) -> T | None:
        """The result; None after an error, which was told, or Ctrl-C."""
        self.signals.number = 0
        try:
            return work()
        except KeyboardInterrupt as stop:
            if isinstance(stop, Stopped) and stop.number != signal.SIGINT:
                raise
            self.signals.number = 0
            tell("stopped", STOPPED, NO_HINT, code=Cancelled.exit_code)
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - as in `run`: all is told, --debug shows where
            if self.debug:
                import traceback

                traceback.print_exc()
            tell_error(error)
        return None


class Studio:
    """What the pictures of one run of the menu share: settings, what was typed before."""

    def __init__(self, settings: Settings, load: Callable[..., Any] | None, trying: Trying) -> None:
        self._settings = settings
        self._load = load
        self._trying = trying
        self._history: History = new_history()

    def visit(self, name: str) -> None:
        """Ask for prompts and draw them with that model until nothing is typed."""
        settings = replace(self._settings, values={**self._settings.values, "model": name})
        outputs = Outputs(settings["output"], several=True)
        with ExitStack() as stack:
            model = self._trying(lambda: stack.enter_context(open_model(settings, self._load)))
            if model is None:
                return
            folder = Path.cwd() / outputs.folder
            say(tr("{name} draws into the folder {folder}; an empty line goes back.", name=name, folder=folder))
            while prompt := ask(WHAT, EXAMPLE, self._history):
                self._draw(prompt, model, settings, outputs)

    def _draw(self, prompt: str, model: Any, settings: Settings, outputs: Outputs) -> None:
        def work() -> None:
            request = request_of(prompt, settings)
            outputs.check()
            with Show(settings, outputs.folder, self._trying.signals) as show:
                draw(model, request, show, outputs)

        self._trying(work)
