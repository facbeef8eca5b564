"""The models that can be asked for, and what this machine makes of them."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutshell.catalogue import own_folder
from nutshell.errors import ModelNotFound, NutshellError, UsageError
from nutshell.language import tr
from nutshell.pipeline import Request
from nutshell.pipeline.model_rows import Listed, with_card, without_card
from nutshell.pipeline.outlook import NOT_YET, SLOWLY, TOO_LARGE, WELL, Outlook, Wish, expect, outlook, outlook_json
from nutshell.plan import Planner
from nutshell.plan.settled import planner_of
from nutshell.settings import Settings
from nutshell.store import Found
from nutshell.store.find import not_here
from nutshell.store.places import Places

_LOG = logging.getLogger(__name__)
# How programs call the models of hosted services; they mean "the one that there is".
_HOSTED = ("dall-e", "gpt-image", "chatgpt-image")
_VERDICTS = {WELL: "well", SLOWLY: "slowly", TOO_LARGE: "too large", NOT_YET: "not yet"}
_LOOK_SECONDS = 2.0  # between looks at the folders' times
_LIST_SECONDS = 30.0  # between looks into them, for what their times do not tell
_LONGEST_SHOWN = 100  # characters of a name that nobody knows


@dataclass(frozen=True)
class ModelRow:
    """name: what a wish calls it. title: for people. here: whether it can be drawn with now, without a download.

    verdict: "well", "slowly", "too large" or "not yet", None where it was not estimated. seconds: for one picture of
    the native size; peak_bytes: of memory.
    """

    name: str
    title: str
    here: bool
    width: int
    height: int
    steps: int
    guidance: float
    licence: str
    verdict: str | None = None
    seconds: float | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class _Look:
    """What was found, when, and how the folders stood then."""

    listed: tuple[Listed, ...]
    absent: dict[str, Listed]
    times: tuple[tuple[str, int], ...]
    listed_at: float
    looked_at: float


class Models:
    """Knows the models of this machine's places. Methods may take a second the first time: call them in a thread.

    A model that is fetched or taken away while the service runs is noticed within seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is looked at yet."""
        self._settings, self._clock = settings, clock
        self._places = Places.of(settings)
        self._looking, self._reckoning = threading.Lock(), threading.Lock()
        self._last: _Look | None = None
        self._complaint = ""
        self._planner: Planner | None = None
        self._rows: tuple[tuple[Listed, ...], list[ModelRow]] = ((), [])

    @property
    def default(self) -> str:
        """The model that is drawn with where none is named."""
        return str(self._settings["model"])

    def rows(self) -> list[ModelRow]:
        """Every model that is here, the default first."""
        look = self._look()
        with self._reckoning:
            if self._rows[0] != look.listed:
                self._rows = look.listed, [self._row(listed) for listed in look.listed]
            return list(self._rows[1])

    def resolve(self, name: str | None) -> str:
        """The name to put into a wish. None, and names of hosted models such as "dall-e-3", mean the default.

        Raises ModelNotFound. A path is no name: which files are opened is not for clients to say.
        """
        if not name or name in (self.default, shown_name(self.default)):
            return self.default
        look = self._look()
        if any(listed.name == name for listed in look.listed):
            return name
        if name.startswith(_HOSTED):
            return self.default
        absent = look.absent.get(name)
        if absent is not None and absent.card is not None:
            raise not_here(absent.card)
        raise ModelNotFound(
            tr("there is no model named {name!r}", name=name[:_LONGEST_SHOWN]),
            tr("known here: {names}", names=", ".join(listed.name for listed in look.listed)),
        )

    def plan(self, name: str, *, width: int | None = None, height: int | None = None, steps: int | None = None) -> Any:
        """How it would be drawn here, as `nutshell plan --json` tells it. Raises NutshellError."""
        Request("", width=width, height=height, steps=steps)
        name = self.resolve(name)
        size = None
        if width is not None or height is not None:
            row = next((row for row in self.rows() if row.name == shown_name(name)), None)
            size = (width or (row.width if row else height), height or (row.height if row else width))
        expected = expect(name, self._places, self._ready_planner(), Wish(size, steps))  # type: ignore[arg-type]
        content: Any = json.loads(json.dumps(outlook_json(shown_name(name), expected), default=str))
        return content

    # ---------------------------------------------------------------- looking

    def _look(self) -> _Look:
        with self._looking:
            now, last = self._clock(), self._last
            if last is not None and now - last.looked_at < _LOOK_SECONDS:
                return last
            times = tuple(_times(self._places))
            if last is not None and times == last.times and now - last.listed_at < _LIST_SECONDS:
                self._last = _Look(last.listed, last.absent, times, last.listed_at, now)
            else:
                listed, absent = self._list()
                self._last = _Look(listed, absent, times, now, now)
            return self._last

    def _list(self) -> tuple[tuple[Listed, ...], dict[str, Listed]]:
        """The models that are here, the default first, and by name those that could be fetched."""
        every = list(with_card(self._places))
        try:
            every += without_card(self._places)
        except NutshellError as error:
            # Once, not with each look.
            if str(error) != self._complaint:
                _LOG.warning(error.message)
            self._complaint = str(error)
        here = [listed for listed in every if listed.found is not None]
        default = self.default
        if shown_name(default) != default and Path(default).exists():
            found = Found(Path(default))
            here.insert(0, Listed(shown_name(default), shown_name(default), "", None, found))
        here.sort(key=lambda listed: listed.name != shown_name(default))
        return tuple(here), {listed.name: listed for listed in every if listed.found is None}

    # ---------------------------------------------------------------- reckoning

    def _ready_planner(self) -> Planner:
        # Of the machine as it was before a model was loaded: what one takes later can be had again.
        if self._planner is None:
            self._planner = planner_of(self._settings)
        return self._planner

    def _row(self, listed: Listed) -> ModelRow:
        expected = self._outlook(listed)
        plan = expected.plan
        return ModelRow(
            name=listed.name,
            # Without a card the title is where the files lie, which is nobody's business.
            title=listed.card.title if listed.card is not None else listed.name,
            here=True,
            width=expected.width,
            height=expected.height,
            steps=expected.steps,
            guidance=expected.guidance,
            licence=listed.licence,
            verdict=_VERDICTS.get(expected.verdict),
            seconds=round(plan.picture_seconds, 3) if plan is not None else None,
            peak_bytes=expected.need_bytes,
        )

    def _outlook(self, listed: Listed) -> Outlook:
        try:
            return outlook(listed.card, self._ready_planner(), listed.found)
        except (NutshellError, OSError) as error:
            # A damaged file must not hide the other models.
            _LOG.warning("%s: %s", listed.name, error)
            return Outlook(NOT_YET, 0, 0, 0)


def shown_name(name: str) -> str:
    """A name as clients see it: of a path on this machine its last part."""
    path = Path(name)
    return path.name if path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".safetensors" else name


def _times(places: Places) -> Iterator[tuple[str, int]]:
    """When what models are listed from was last changed."""
    try:
        cards = own_folder()
    except UsageError:
        # config.toml was spoilt meanwhile; what was read at the start holds.
        cards = None
    folders = [cards] if cards is not None else []
    for place in places:
        folders += [place.folder, place.folder / "manifests"]
    for folder in folders:
        try:
            yield str(folder), folder.stat().st_mtime_ns
            if folder == cards:
                yield from ((entry.path, entry.stat().st_mtime_ns) for entry in os.scandir(folder))
        except OSError:
            # Not there, or pulled out.
            continue
