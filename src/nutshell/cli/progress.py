"""What is said while drawing: a bar on a terminal, plain lines elsewhere, JSON for programs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nutshell.cli.report import Signals, fancy, note
from nutshell.cli.speech import one_line, say, words
from nutshell.errors import OutputError
from nutshell.files import unique_path
from nutshell.language import Text, tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.pipeline import Picture, Progress

PREVIEW_STEM = "nutshell-preview"
PREVIEW_SECONDS = 0.5  # between two previews
LOADING = tr("loading")
NARROW = 80
BAR = "{desc} |{bar:20}| {n_fmt}/{total_fmt}{postfix}"


class Show:
    """Tells how far things are: on standard error while they last, on standard output once done."""

    def __init__(self, settings: Settings, folder: Path, signals: Signals) -> None:
        self._json: bool = settings["json"]
        self._quiet: bool = settings["quiet"] or self._json
        self._fancy = fancy(sys.stderr) and not self._quiet
        self._folder = folder if settings["preview"] else None
        self._preview: Path | None = None
        self._preview_time = 0.0
        self._signals = signals
        self._bar: Any = None
        self._prompt = ""
        self._done = self._count = 0

    def begin(self, prompt: str, count: int) -> None:
        """A request begins."""
        self._prompt, self._count, self._done = prompt, count, 0
        self._begin_picture()

    def step(self, progress: Progress) -> None:
        """One denoising step is done."""
        self._signals.check()
        self._show_preview(progress)
        if self._bar is not None:
            self._bar.total = progress.total
            self._bar.set_description_str(words(self._title()), refresh=False)
            self._bar.set_postfix_str(words(time_left(progress.seconds_left)), refresh=False)
            self._bar.n = progress.step
            self._bar.refresh()

    def done(self, picture: Picture, path: Path) -> None:
        """A picture is done and lies at `path`."""
        self._signals.check()
        self._end_bar()
        if self._json:
            print(json_line(picture, path), flush=True)
        else:
            say(result_line(picture, path))
        self._done += 1
        if self._done < self._count:
            self._begin_picture()

    def __enter__(self) -> Show:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()
        if self._preview is not None:
            with contextlib.suppress(OSError):
                self._preview.unlink(missing_ok=True)

    def _title(self) -> Text:
        if self._count > 1:
            return tr("drawing {number} of {count}", number=self._done + 1, count=self._count)
        return tr("drawing")

    def _begin_picture(self) -> None:
        if self._fancy:
            self._bar = new_bar(words(LOADING))
        elif not self._quiet:
            say(tr("{title}: {prompt}", title=self._title(), prompt=shortened(self._prompt)), sys.stderr)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show_preview(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._folder is None or now - self._preview_time < PREVIEW_SECONDS:
            return
        self._preview_time = now
        from nutshell.pipeline.parameters import save_png

        try:
            if self._preview is None:
                self._preview = unique_path(self._folder, PREVIEW_STEM, ".png")
            save_png(progress.preview(), {"steps": progress.step}, self._preview)
        except OutputError as error:
            # The preview is an extra; the picture itself is worth going on for.
            self._folder = None
            note(tr("no preview: {error}", error=error))


def new_bar(title: str) -> Any:
    """tqdm, as quiet as it gets: no thread of its own, no multiprocessing lock."""
    import tqdm

    tqdm.tqdm.monitor_interval = 0
    tqdm.tqdm.set_lock(threading.RLock())
    # Some terminals say that they are 0 wide and high.
    width = os.get_terminal_size(sys.stderr.fileno()).columns or NARROW
    return tqdm.tqdm(total=1, desc=title, bar_format=BAR, leave=False, file=sys.stderr, ncols=width, nrows=2)


def result_line(picture: Picture, path: Path) -> Text:
    """`apple.png  256x256  1.9 s  peak 380 MB  seed 7`"""
    return tr(
        "{path}  {size}  {seconds:.1f} s  peak {peak:.0f} MB  seed {seed}",
        path=path,
        size="x".join(map(str, picture.image.size)),
        seconds=picture.seconds,
        peak=picture.peak_bytes / 1e6,
        seed=picture.seed,
    )


def json_line(picture: Picture, path: Path) -> str:
    """One object on one line."""
    content = {
        "path": str(path),
        "seed": picture.seed,
        "seconds": round(picture.seconds, 3),
        "peak_bytes": picture.peak_bytes,
        "parameters": dict(picture.parameters),
    }
    return json.dumps(content, ensure_ascii=False, default=str)


def time_left(seconds: float) -> Text:
    """`12 s left`, `3 min left`"""
    if seconds < 90:
        return tr("{seconds} s left", seconds=max(0, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 90:
        return tr("{minutes} min left", minutes=minutes)
    return tr("{hours:.1f} h left", hours=minutes / 60)


def shortened(prompt: str, most: int = 60) -> str:
    prompt = one_line(prompt)
    return prompt if len(prompt) <= most else prompt[: most - 1] + "…"
