"""Questions on a terminal: one of a list, yes or no, a line of text. prompt_toolkit is imported when one is asked."""

from __future__ import annotations

import contextlib
import locale
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from nutshell.cli.menu_lines import Question, drawn
from nutshell.cli.menu_selection import Entry, Selection
from nutshell.cli.prompts import typed
from nutshell.cli.speech import words
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent
    from prompt_toolkit.output import Output

T = TypeVar("T")

YES, NO = tr("yes"), tr("no")
YES_NO_KEYS = tr("y or n; Enter takes the marked one")
ESCAPE_SECONDS = 0.1  # in which the rest of an arrow key must come
STYLE = {"head": "underline", "detail": "", "placeholder": "ansibrightblack"}


class Quit(Exception):
    """Ctrl-D, or the end of the input."""


def name_terminal() -> None:
    """Let the standard input be the terminal by its own name, where it is /dev/tty as from a start through a pipe.

    macOS cannot wait for keys on that one: https://github.com/prompt-toolkit/python-prompt-toolkit/issues/1943
    """
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    # Windows has no such names, and some containers show terminals without one.
    with contextlib.suppress(OSError, AttributeError):
        if os.ttyname(keys) == "/dev/tty":
            terminal = os.open(os.ttyname(screen), os.O_RDWR)
            os.dup2(terminal, keys)
            os.close(terminal)


def choose(question: Question, entries: Sequence[Entry[T]], start: int | None = None) -> T:
    """What was chosen. start: what is pointed at first, None for the marked entry.

    Raises Quit, and KeyboardInterrupt on Ctrl-C.
    """
    selection = Selection(entries, start)
    return _run(question, selection, _list_keys(selection))


def confirm(title: Text) -> bool:
    """Yes or no; yes is marked. Raises Quit, and KeyboardInterrupt on Ctrl-C."""
    selection = Selection([Entry(True, (words(YES),)), Entry(False, (words(NO),))])
    return _run(Question(title, YES_NO_KEYS), selection, _yes_no_keys(selection))


def ask(title: Text, example: Text, history: History) -> str:
    """A line of text on one line, "" for nothing, Ctrl-D or Esc. Raises KeyboardInterrupt on Ctrl-C."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.formatted_text import FormattedText
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.styles import Style

    keys = KeyBindings()

    @keys.add("escape", eager=True)
    def leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    session: PromptSession[str] = PromptSession(
        FormattedText([("bold", words(title)), ("", " ")]),
        history=history,
        key_bindings=keys,
        style=Style.from_dict(STYLE),
        output=_output(),
        placeholder=FormattedText([("class:placeholder", words(example))]),
    )
    session.app.ttimeoutlen = ESCAPE_SECONDS
    try:
        return " ".join(typed(session.prompt()).split())
    except EOFError:
        return ""


def new_history() -> History:
    """What was typed in this run, for the arrow keys."""
    from prompt_toolkit.history import InMemoryHistory

    return InMemoryHistory()


def star() -> str:
    """The mark of what is recommended, as this terminal can show it."""
    encoding = locale.getpreferredencoding(False).lower().replace("-", "")
    return "★" if encoding == "utf8" and os.environ.get("TERM") != "linux" else "*"


def _run(question: Question, selection: Selection[T], keys: KeyBindings) -> T:
    from prompt_toolkit.application import Application, get_app
    from prompt_toolkit.layout import FormattedTextControl, Layout, Window
    from prompt_toolkit.styles import Style

    def text() -> StyleAndTextTuples:
        size = get_app().output.get_size()
        # Some terminals break a line that fills the last column, and some say that they are 0 wide and high.
        lines = drawn(question, selection, (size.columns or 80) - 1, size.rows or 24)
        parts: StyleAndTextTuples = [part for style, line in lines for part in ((style, line), ("", "\n"))]
        return parts[:-1]

    window = Window(FormattedTextControl(text, show_cursor=False), always_hide_cursor=True)
    app: Application[T] = Application(
        Layout(window),
        key_bindings=keys,
        style=Style.from_dict(STYLE),
        erase_when_done=True,
        output=_output(),
    )
    app.ttimeoutlen = ESCAPE_SECONDS
    try:
        return app.run()
    except EOFError:
        raise Quit from None


def _list_keys(selection: Selection[Any]) -> KeyBindings:
    from prompt_toolkit.keys import Keys

    keys = _common_keys(selection)
    page = 10
    moves = {"up": -1, "down": 1, "c-p": -1, "c-n": 1, "pageup": -page, "pagedown": page}
    moves |= {"home": -len(selection.entries), "end": len(selection.entries)}

    def add_move(key: str, lines: int) -> None:
        @keys.add(key)
        def move(event: KeyPressEvent) -> None:
            selection.move(lines)

    for key, lines in moves.items():
        add_move(key, lines)

    @keys.add("backspace")
    def erase(event: KeyPressEvent) -> None:
        selection.search(selection.typed[:-1])

    @keys.add("escape", eager=True)
    @keys.add("c-u")
    def clear(event: KeyPressEvent) -> None:
        selection.search("")

    @keys.add(Keys.BracketedPaste)
    @keys.add(Keys.Any)
    def add(event: KeyPressEvent) -> None:
        text = "".join(char for char in event.data if char.isprintable())
        selection.search(selection.typed + text)

    return keys


def _yes_no_keys(selection: Selection[bool]) -> KeyBindings:
    keys = _common_keys(selection)

    def add_answer(key: str, answer: bool) -> None:
        @keys.add(key, eager=True)
        def take(event: KeyPressEvent) -> None:
            event.app.exit(result=answer)

    for key, answer in {"y": True, "Y": True, "n": False, "N": False, "escape": False}.items():
        add_answer(key, answer)
    for key in ("up", "down", "left", "right", "tab"):

        @keys.add(key)
        def move(event: KeyPressEvent) -> None:
            selection.move(1)

    return keys


def _common_keys(selection: Selection[Any]) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def take(event: KeyPressEvent) -> None:
        if selection.current is not None:
            event.app.exit(result=selection.current.value)

    @keys.add("c-c")
    @keys.add("<sigint>")
    def stop(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    @keys.add("c-d")
    def leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    return keys


def _output() -> Output:
    """The terminal, without asking it where its cursor is: one that does not answer would be complained about."""
    from prompt_toolkit.output import create_output
    from prompt_toolkit.output.vt100 import Vt100_Output

    output = create_output()
    if isinstance(output, Vt100_Output):
        output.enable_cpr = False
    return output
