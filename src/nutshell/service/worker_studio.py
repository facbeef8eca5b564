"""Inside the worker process: the one model that is open, and how it draws a wish."""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from PIL import Image

from nutshell.engines.heap import trim_heap
from nutshell.errors import Cancelled
from nutshell.language import tr
from nutshell.machine import probe
from nutshell.pipeline import Model, Progress, load
from nutshell.pipeline.parameters import encoded
from nutshell.pipeline.tiny_vae import choose_vae
from nutshell.service.wish import Wish
from nutshell.service.worker import Drawn, Loading, Step, Told
from nutshell.service.worker_settings import DrawSettings
from nutshell.store import find

# Of the memory that is free when a wish is drawn again after the worker died of it.
_LEANER_SHARE = 0.7


class Studio:
    """Draws wishes with one open model; another that is asked for, or another precision, takes its place.

    open: opens a model, as `open_model`; tests give another.
    """

    def __init__(self, settings: DrawSettings, open: Callable[[DrawSettings, str, bool], Model] | None = None) -> None:
        self._settings = settings
        self._open = open or open_model
        self._model: Model | None = None
        self._name = ""
        self._how: tuple[bool, str | None] = (False, None)

    @property
    def loaded(self) -> str | None:
        """The name of the open model."""
        return self._name if self._model is not None else None

    def draw(self, wish: Wish, leaner: bool, tell: Callable[[Told], None], cancelled: Callable[[], bool]) -> None:
        """Draw every picture of a wish. Raises what the pipeline raises, and Cancelled."""
        request = wish.request()
        model = self._take(wish, leaner, tell)
        previews, seldom = Previews(), Seldom()

        def on_step(progress: Progress) -> None:
            _stop_if(cancelled)
            last = progress.step == progress.total
            preview = previews.take(progress.preview) if wish.previews and not last else b""
            if not (seldom.due() or preview or last):
                return
            tell(
                Step(progress.step, progress.total, progress.picture, progress.pictures, progress.seconds_left, preview)
            )

        _stop_if(cancelled)
        for place, picture in enumerate(model.draw(request, on_step)):
            parameters = dict(picture.parameters)
            tell(Drawn(place + 1, encoded(picture.image, parameters), parameters))
            if place + 1 < request.count:
                _stop_if(cancelled)

    def close(self) -> None:
        """Close the model; its memory goes back to the system."""
        model, self._model = self._model, None
        if model is not None:
            model.close()
            del model
            gc.collect()
            trim_heap()

    def _take(self, wish: Wish, leaner: bool, tell: Callable[[Told], None]) -> Model:
        name, how = wish.model, (leaner, wish.precision)
        if self._model is not None and (self._name, self._how) == (name, how):
            return self._model
        # Closed first: two models at once may be more than the machine holds.
        self.close()
        tell(Loading(name))
        self._name, self._how = name, how
        settings = self._settings
        if wish.precision is not None:
            settings = replace(settings, precision=wish.precision)
        self._model = self._open(settings, name, leaner)
        return self._model


def open_model(settings: DrawSettings, name: str, leaner: bool) -> Model:
    """Open a model as the settings say. leaner: one stage at a time, in 70% of the memory that is free now."""
    places = settings.places
    most = settings.max_memory
    if leaner:
        lean = int(_LEANER_SHARE * probe(gpus=False).usable_bytes)
        most = lean if most is None else min(most, lean)
    found = find(name, places)
    return load(
        found,
        engine=settings.engine,
        precision=settings.precision,
        threads=settings.threads,
        max_memory=most,
        staged=leaner,
        learn=settings.learn,
        int8_budget=settings.int8_budget,
        prediction=settings.prediction,
        vae=choose_vae(settings.vae, found.card, places),
        preview_vae=None if settings.preview_vae is None else find(settings.preview_vae, places),
        embeddings=settings.embeddings,
        compile_cache=settings.compile_cache,
    )


@dataclass
class Previews:
    """Makes previews as often as costs little: at most 3% of the time, and five a second.

    clock: seconds, from any beginning.
    """

    clock: Callable[[], float] = time.perf_counter
    _next: float = field(default=0.0, init=False)
    _least_seconds: float = field(default=0.2, init=False)
    _share: float = field(default=0.03, init=False)

    def take(self, preview: Callable[[], Image.Image]) -> bytes:
        """A JPEG, or nothing while it is too soon after the last."""
        begun = self.clock()
        if begun < self._next:
            return b""
        file = io.BytesIO()
        preview().convert("RGB").save(file, "JPEG", quality=80)
        done = self.clock()
        self._next = done + max(self._least_seconds, (done - begun) / self._share)
        return file.getvalue()


@dataclass
class Seldom:
    """Says when a step is to be told: of a small model fifty are done in a second, and each takes the web side's time.

    clock: seconds, from any beginning.
    """

    clock: Callable[[], float] = time.perf_counter
    least_seconds: float = 0.05
    _next: float = field(default=0.0, init=False)

    def due(self) -> bool:
        """Whether the last that was told is long enough ago."""
        now = self.clock()
        if now < self._next:
            return False
        self._next = now + self.least_seconds
        return True


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled(tr("stopped"))
