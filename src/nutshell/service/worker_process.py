"""The process that draws: `python -m nutshell.service.worker_process SETTINGS`, SETTINGS as JSON.

It reads frames (`worker_messages`) from standard input and answers on what was standard output, until its input ends:
then whoever started it is gone, and it ends at once, in the midst of a picture too. Signals that a terminal or a
service manager sends to whole groups of processes are left to its parent, which says what is to happen.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

from nutshell.errors import EngineError, NutshellError
from nutshell.language import tr
from nutshell.machine.courtesy import be_polite
from nutshell.service.sentences import sentence_to_json
from nutshell.service.worker_frames import Frame, FrameError, read_frame
from nutshell.service.worker_messages import OUT_OF_MEMORY, fault_frame, read_draw, told_frame
from nutshell.service.worker_settings import DrawSettings
from nutshell.service.worker_studio import Studio

_BAD_INPUT = 2
# Of 1000: when memory ends the kernel takes this process rather than the one that answers.
_OOM_SCORE = 500


def main() -> NoReturn:
    """Draw as the settings on the command line say."""
    settings = DrawSettings.from_json(json.loads(sys.argv[1]))
    if settings.polite:
        be_polite()
    draw_for_parent(Studio(settings))


def draw_for_parent(studio: Studio) -> NoReturn:
    """Draw what is asked for on standard input until it ends."""
    given, answers = _own_pipes()
    _leave_signals_to_the_parent()
    _be_taken_first()
    Desk(studio, answers).serve(given)


class Desk:
    """Takes orders on one thread and draws them on another, so that a cancel is heard in the midst of a picture."""

    def __init__(self, studio: Studio, answers: BinaryIO, exit: Callable[[int], None] = os._exit) -> None:
        self._studio = studio
        self._answers = answers
        self._writing = threading.Lock()
        self._orders: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        # Numbers count up, so those that are cancelled need no list.
        self._cancelled = 0
        self._exit = exit

    def serve(self, given: BinaryIO) -> NoReturn:
        """Draw until the input ends, and then end at once."""
        logging.getLogger("nutshell").addHandler(_Teller(self._tell))
        threading.Thread(target=self.listen, args=(given,), daemon=True).start()
        self._tell(Frame({"tell": "ready"}))
        while True:
            self._draw(self._orders.get())

    def listen(self, given: BinaryIO) -> None:
        """Hear orders until the input ends, and then end the process: the other thread may be deep in an engine."""
        try:
            while (frame := read_frame(given)) is not None:
                if frame.header["do"] == "cancel":
                    self._cancelled = max(self._cancelled, int(frame.header["number"]))
                elif frame.header["do"] == "draw":
                    self._orders.put(frame)
                else:
                    raise FrameError("an order that is not known")
        except (FrameError, KeyError, TypeError, ValueError, OSError) as error:
            print(f"nutshell worker: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self._exit(_BAD_INPUT)
        self._exit(0)

    def _draw(self, order: Frame) -> None:
        self._tell(Frame({"tell": "begun"}))
        try:
            number, wish, leaner = read_draw(order)
            self._studio.draw(
                wish, leaner, lambda told: self._tell(told_frame(told)), lambda: self._cancelled >= number
            )
            answer = Frame({"tell": "end"})
        except NutshellError as error:
            self._end_if_out_of_memory(error)
            if isinstance(error, EngineError):
                # What state the engine has left the model in is not known.
                self._studio.close()
            answer = fault_frame(error)
        except Exception as error:
            # Whatever an engine, or a mistake of ours, raises: it fails this one job, and the log has it.
            self._end_if_out_of_memory(error)
            logging.getLogger(__name__).exception("a fault that is not foreseen")
            self._studio.close()
            name = type(error).__name__
            answer = fault_frame(NutshellError(tr("the worker failed: {name}: {error}", name=name, error=str(error))))
        self._tell(answer)

    def _end_if_out_of_memory(self, error: BaseException | None) -> None:
        """A process that has met the end of its memory is of no use: a new one draws with a leaner plan."""
        while error is not None:
            if isinstance(error, MemoryError) or "bad_alloc" in str(error):
                self._exit(OUT_OF_MEMORY)
            error = error.__cause__ or error.__context__

    def _tell(self, frame: Frame) -> None:
        header = {**frame.header, "loaded": self._studio.loaded}
        try:
            with self._writing:
                self._answers.write(Frame(header, frame.blobs).encoded())
                self._answers.flush()
        except OSError:
            # Nobody reads any more.
            self._exit(0)


class _Teller(logging.Handler):
    """Hands the log's records to the parent, which has the log file."""

    def __init__(self, tell: Callable[[Frame], None]) -> None:
        super().__init__(logging.INFO)
        self._hand_on = tell

    def emit(self, record: logging.LogRecord) -> None:
        said = record.msg if isinstance(record.msg, str) and not record.args else record.getMessage()
        if record.exc_info:
            said = f"{said}\n{logging.Formatter().formatException(record.exc_info)}"
        header = {"tell": "log", "level": record.levelno, "logger": record.name, "message": sentence_to_json(said)}
        self._hand_on(Frame(header))


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The input and output of the process, for frames alone: what a library prints goes to standard error."""
    given, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return given, answers


def _leave_signals_to_the_parent() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _be_taken_first() -> None:
    """Linux: proc(5), /proc/pid/oom_score_adj. Raising it needs no privilege."""
    path = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError, ValueError):
        path.write_text(str(max(_OOM_SCORE, int(path.read_text()))))


if __name__ == "__main__":
    main()
