"""Where facts come from: files, folders, commands and the system's own answers, behind one small protocol.

The probe asks nothing else, so a recorded machine (`tests/machines`) can stand in for the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from nutshell.language import Text, tr
from nutshell.machine.facts import Unknown

T = TypeVar("T")


_LONGEST_REASON = 300  # characters


class Unreadable(Exception):
    """A fact that the machine does not give away, and the reason."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Output:
    """What a command wrote, standard error after standard output, and its exit code."""

    text: str
    code: int


class Source(Protocol):
    """A machine to read from. Every method raises Unreadable, and nothing else, where there is no answer.

    platform: as in sys.platform: "linux", "darwin", "win32".
    """

    @property
    def platform(self) -> str: ...

    def read(self, path: str) -> str:
        """The text of a file."""

    def list(self, path: str) -> Sequence[str]:
        """The names in a folder, sorted."""

    def run(self, *command: str, timeout: float) -> Output:
        """Run a command; `timeout` in seconds."""

    def ask(self, question: str, about: str = "") -> Any:
        """What no file tells: a question of `nutshell.machine.questions`, answered in plain JSON types."""


class Remembering:
    """A source that is asked everything once only, for several readers look at the same files."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._answers: dict[tuple[Any, ...], Any] = {}

    @property
    def platform(self) -> str:
        return self._source.platform

    def read(self, path: str) -> str:
        return self._once(("read", path), lambda: self._source.read(path))

    def list(self, path: str) -> Sequence[str]:
        return self._once(("list", path), lambda: self._source.list(path))

    def run(self, *command: str, timeout: float) -> Output:
        return self._once(("run", *command), lambda: self._source.run(*command, timeout=timeout))

    def ask(self, question: str, about: str = "") -> Any:
        return self._once(("ask", question, about), lambda: self._source.ask(question, about))

    def _once(self, key: tuple[Any, ...], get: Callable[[], T]) -> T:
        if key not in self._answers:
            try:
                self._answers[key] = get()
            except Unreadable as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, Unreadable):
            raise answer
        return answer  # type: ignore[no-any-return]


class Notes:
    """Collects what could not be read, so that one broken file spoils one fact."""

    def __init__(self) -> None:
        self.unknown: list[Unknown] = []

    def attempt(self, fact: str, read: Callable[[], T], otherwise: T) -> T:
        """What `read` gives; if it fails in any way, `otherwise`, and the reason is kept."""
        try:
            return read()
        except Unreadable as error:
            self.add(fact, error.reason)
        except Exception as error:  # noqa: BLE001 - no nonsense in a file may take the program along
            self.add(fact, tr("not understood: {kind}: {error}", kind=type(error).__name__, error=brief(str(error))))
        return otherwise

    def add(self, fact: str, reason: Text) -> None:
        """Note that a fact is not known, and why."""
        self.unknown.append(Unknown(fact, reason))


def brief(text: str) -> str:
    """What a file, tool or library said, in one line that is not too long, for a reason."""
    return " ".join(text.split())[:_LONGEST_REASON]


def text_or(source: Source, path: str, otherwise: str = "") -> str:
    """The stripped text of a file that need not be there. Device-tree files end in a NUL byte."""
    try:
        return source.read(path).strip(" \t\r\n\0")
    except Unreadable:
        return otherwise


def number_or_none(source: Source, path: str) -> int | None:
    """The whole number in a file that need not be there."""
    try:
        return int(source.read(path))
    except (Unreadable, ValueError):
        return None


def names_or_none(source: Source, path: str) -> Sequence[str]:
    """The names in a folder that need not be there."""
    try:
        return source.list(path)
    except Unreadable:
        return ()
