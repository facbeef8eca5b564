"""How a command ends: exit codes, errors as one line and a hint, signals, broken pipes."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import IO, Any, NoReturn

from nutshell import errors
from nutshell.cli.speech import lead, say, words
from nutshell.errors import NO_HINT, NutshellError
from nutshell.language import Text, tr

UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
_SHELLS_SIGNALS = 128

# Exit code -> meaning; for --help and docs/reference/exit-codes.md.
EXIT_CODES: dict[int, Text] = {
    0: tr("all went well"),
    errors.NutshellError.exit_code: tr("something else failed"),
    errors.UsageError.exit_code: tr("the request cannot be met as written"),
    errors.ModelError.exit_code: tr("a model is missing, damaged, or of a kind that cannot run"),
    errors.EngineError.exit_code: tr("an engine is missing or failed"),
    errors.NotEnoughMemory(0, 0).exit_code: tr("not enough memory"),
    errors.OutputError.exit_code: tr("a file could not be written"),
    errors.FetchError.exit_code: tr("a model could not be fetched"),
    UNEXPECTED: tr("a bug: run again with --debug and report what it prints"),
    errors.Cancelled.exit_code: tr("stopped by Ctrl-C"),
    _SHELLS_SIGNALS + 13: tr("the reader of the output went away"),
    _SHELLS_SIGNALS + 15: tr("stopped by SIGTERM"),
}

ERROR = tr("error:")
STOPPED = tr("stopped; nothing is left half written")
OUT_OF_MEMORY = tr("the memory ran out")
OUT_OF_MEMORY_HINT = tr("close other programs, or ask for a smaller --size or model")
OLD_PROCESSOR = tr("NumPy does not run on this processor, which lacks SSE4.2")
OLD_PROCESSOR_HINT = tr("pip install 'numpy<2.4', which asks for less; nutshell doctor says what else is wrong")
UNEXPECTED_HINT = tr("this is a bug in nutshell; run again with --debug for the details")


# What NumPy's import says on a processor that its wheels were not built for (npy_cpu_features.c).
_NUMPY_SAYS = "NumPy was built with baseline optimizations"


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end. Not an Exception, so that no `except Exception` swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Signals:
    """Turns the signals that end a program into Stopped.

    An exception that is raised while foreign code calls back may get lost there, so `check`, which is
    called at every step, raises it again.
    """

    def __init__(self) -> None:
        self.number = 0

    def install(self) -> None:
        """Take over SIGINT, SIGTERM and SIGHUP, except those that were ignored on purpose (nohup)."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)

    def check(self) -> None:
        if self.number:
            raise Stopped(self.number)

    def _stop(self, number: int, frame: object) -> NoReturn:
        self.number = number
        raise Stopped(number)


def run(work: Callable[[], int], *, as_json: bool = False, debug: bool = False) -> int:
    """Do the work and return the exit code; whatever goes wrong is told in one line on standard error."""
    try:
        code = work()
        sys.stdout.flush()
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        tell("stopped", STOPPED, NO_HINT, code=_SHELLS_SIGNALS + number, as_json=as_json)
        return _SHELLS_SIGNALS + number
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SHELLS_SIGNALS + 13
    except Exception as error:  # noqa: BLE001 - the last line of defence; --debug shows it all
        if debug:
            import traceback

            traceback.print_exc()
        return tell_error(error, as_json=as_json)
    return code


def tell_error(error: Exception, *, as_json: bool = False) -> int:
    """Tell an error on standard error and return its exit code."""
    if isinstance(error, NutshellError):
        message, hint, code = error.message, error.hint, error.exit_code
    elif isinstance(error, MemoryError):
        message, hint, code = OUT_OF_MEMORY, OUT_OF_MEMORY_HINT, errors.NotEnoughMemory.exit_code
    elif isinstance(error, RuntimeError) and _NUMPY_SAYS in str(error):
        message, hint, code = OLD_PROCESSOR, OLD_PROCESSOR_HINT, errors.EngineError.exit_code
    elif isinstance(error, OSError) and error.filename is None and error.errno is not None:
        # Only standard output is written without a file name.
        # What is left of it is flushed once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message, hint = tr("cannot write the output: {reason}", reason=errors.os_reason(error)), NO_HINT
        code = errors.OutputError.exit_code
    else:
        message, hint = tr("unexpected {kind}: {error}", kind=type(error).__name__, error=error), UNEXPECTED_HINT
        code = UNEXPECTED
    tell(type(error).__name__, message, hint, code=code, as_json=as_json)
    return code


def tell(kind: str, message: Text, hint: Text, *, code: int, as_json: bool = False) -> None:
    """One line, and one for the hint; or one JSON object."""
    if as_json:
        content = {"kind": kind, "message": message, "hint": hint, "exit_code": code}
        print(json.dumps({"error": content}, ensure_ascii=False), file=sys.stderr)
        return
    red, plain = ("\033[1;31m", "\033[0m") if colourful(sys.stderr) else ("", "")
    start = f"{red}{lead(ERROR)}{plain}" if kind != "stopped" else ""
    print(f"nutshell: {start}{words(message)}", file=sys.stderr)
    if hint:
        say(tr("hint: {hint}", hint=hint), sys.stderr)


def note(text: str) -> None:
    """A line about what goes on, on standard error: standard output is for results."""
    print(f"nutshell: {words(text)}", file=sys.stderr, flush=True)


def colourful(stream: IO[str]) -> bool:
    """https://no-color.org, and terminals that say they know no colours."""
    return fancy(stream) and not os.environ.get("NO_COLOR")


def fancy(stream: IO[str]) -> bool:
    """Whether lines can be drawn over again: a real terminal."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def speak_utf8() -> None:
    """UTF-8 on every stream, whatever the locale; file names pass through unharmed. A closed stream swallows all."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - lives as long as the program
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream, mistakes in ((sys.stdin, "replace"), (sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors=mistakes)
