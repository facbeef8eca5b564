"""What to expect of a model on this machine before it is fetched: time, memory, and what would make it fit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from nutshell.catalogue import ModelCard, cards
from nutshell.errors import EngineUnavailable, ModelError, ModelNotFound, NotEnoughMemory, UnsupportedModel
from nutshell.language import Text, join, tr
from nutshell.pipeline.cards import find_card
from nutshell.pipeline.facts import read_facts
from nutshell.pipeline.needs import PARTS, USUAL, card_need, facts_need
from nutshell.pipeline.request import Request
from nutshell.plan import Need, Plan, Planner
from nutshell.plan.words import ceiling_words
from nutshell.quantization import DEFAULT_DB
from nutshell.store import Found, find, installed
from nutshell.store.places import Places
from nutshell.weights import open_checkpoint

NeedAt = Callable[[int, int, int], Need]

WELL, SLOWLY, TOO_LARGE, NOT_YET = tr("runs well"), tr("runs slowly"), tr("will not fit"), tr("not runnable yet")
VERDICTS = (WELL, SLOWLY, TOO_LARGE, NOT_YET)

# Whoever waits longer for one picture does something else meanwhile.
_WELL_SECONDS = 60.0
_SMALLER = (0.75, 0.5)
_LEAST_SIDE = 256
_NOTHING = Text("")
_GUIDANCE = 7.5  # where neither card nor files tell it


@dataclass(frozen=True)
class Outlook:
    """verdict: one of VERDICTS. why: of the last two. fix: what would make it fit, "" if nothing simple.

    width, height, steps, guidance: of the picture that was reckoned with. parameters: of all parts. plan: None where
    none fits. need_bytes: the least that would do; None if unknown.
    """

    verdict: Text
    width: int
    height: int
    steps: int
    parameters: int = 0
    plan: Plan | None = None
    need_bytes: int | None = None
    why: Text = _NOTHING
    fix: Text = _NOTHING
    guidance: float = _GUIDANCE


@dataclass(frozen=True)
class Wish:
    """What was asked for; None: as the model's card says. asked: what is left out of the picture."""

    size: tuple[int, int] | None = None
    steps: int | None = None
    asked: Request = USUAL


def outlook(card: ModelCard | None, planner: Planner, found: Found | None, wish: Wish | None = None) -> Outlook:
    """The outlook of a model. card: None for a user's own file. found: its files, None if they are not here."""
    wish = wish or Wish()
    blocked = Text(card.runnable) if card else _NOTHING
    try:
        with subject(card, found, wish.asked) as asked:
            width, height = wish.size or (asked.width, asked.height)
            expected = _expect(asked.need, planner, width, height, wish.steps or asked.steps)
            expected = replace(expected, guidance=asked.guidance)
    except ModelError as error:
        width, height = wish.size or ((card.width, card.height) if card else (0, 0))
        steps = wish.steps or (card.steps if card else 0)
        return Outlook(NOT_YET, width, height, steps, card.all_parameters if card else 0, why=blocked or error.message)
    if blocked:
        # The figures are right; what is missing here is something else.
        return replace(expected, verdict=NOT_YET, plan=None, why=blocked, fix=_NOTHING)
    return expected


def expect(name: str, places: Places, planner: Planner, wish: Wish | None = None) -> Outlook:
    """The outlook of a model by its name, with a plan. The model need not be here.

    Raises ModelNotFound, UnsupportedModel, NotEnoughMemory.
    """
    card = cards().get(name)
    here = card is None or installed(card, places)
    found = find(name, places) if here else None
    card = found.card if found is not None and found.card is not None else card
    expected = outlook(card, planner, found, wish)
    if expected.verdict == NOT_YET:
        raise UnsupportedModel(
            tr("{name} cannot be run yet: {why}", name=name, why=expected.why), tr("nutshell models lists what can")
        )
    if expected.verdict == TOO_LARGE:
        need = expected.need_bytes or 0
        hint = ceiling_words(need, planner.max_memory, planner.machine.usable_bytes)
        raise NotEnoughMemory(need, planner.ceiling_bytes, join("; ", filter(None, (hint, expected.fix))))
    return expected


def outlook_json(name: str, expected: Outlook) -> dict[str, Any]:
    """As `nutshell plan --json` and the service tell it; sentences are English."""
    plan = expected.plan
    return {
        "model": name,
        "width": expected.width,
        "height": expected.height,
        "steps": expected.steps,
        "verdict": expected.verdict,
        # Folders of the machine are nobody else's business.
        "plan": {**asdict(plan), "scratch": plan.scratch is not None} if plan is not None else None,
    }


@dataclass(frozen=True)
class Subject:
    """A model that can be reckoned with.

    width, height, steps, guidance: its usual picture. need: of (width, height, steps).
    """

    width: int
    height: int
    steps: int
    guidance: float
    need: NeedAt


@contextlib.contextmanager
def subject(card: ModelCard | None, found: Found | None, asked: Request = USUAL) -> Iterator[Subject]:
    """From the files' headers where they are here, else from the card. asked: what is left out of the picture.

    Raises ModelError.
    """
    if found is None:
        if card is None:
            raise ModelNotFound(tr("there are neither files nor a card to reckon with"))
        yield Subject(card.width, card.height, card.steps, card.guidance, partial(card_need, card, asked=asked))
        return
    checkpoint = open_checkpoint(found.path, base=found.base)
    with contextlib.ExitStack() as stack:
        parts = {name: stack.enter_context(checkpoint.open(name)) for name in PARTS}
        facts = read_facts(checkpoint, parts["vae"], card.name if card else found.path.stem, card)
        weights = {name: part.weights for name, part in parts.items()}
        weights["vae_decoder"] = weights["vae"]
        usual = facts.defaults
        kept = find_card(found.path, checkpoint).card
        ready = kept is not None and kept.within(DEFAULT_DB) is not None
        need = partial(facts_need, facts, weights, asked=asked, eight_bits=ready)
        yield Subject(usual.width, usual.height, usual.steps, usual.guidance, need)


def _expect(need_at: NeedAt, planner: Planner, width: int, height: int, steps: int) -> Outlook:
    need = need_at(width, height, steps)
    parameters = sum(stage.parameters for stage in need.stages)
    try:
        plan = planner.plan(need)
    except NotEnoughMemory as error:
        need_gb, free_gb = error.need_bytes / 1e9, error.free_bytes / 1e9
        why = tr("needs {need:.1f} GB, {free:.1f} GB may be used", need=need_gb, free=free_gb)
        fix = _smaller(need_at, planner, width, height, steps)
        return Outlook(TOO_LARGE, width, height, steps, parameters, None, error.need_bytes, why, fix)
    except EngineUnavailable as error:
        return Outlook(NOT_YET, width, height, steps, parameters, why=join("; ", (error.message, error.hint)))
    verdict = WELL if plan.picture_seconds <= _WELL_SECONDS else SLOWLY
    return Outlook(verdict, width, height, steps, parameters, plan, plan.need_bytes)


def _smaller(need_at: NeedAt, planner: Planner, width: int, height: int, steps: int) -> Text:
    """The largest smaller size that fits, as a flag."""
    for share in _SMALLER:
        small_width, small_height = (int(side * share) // 64 * 64 for side in (width, height))
        if min(small_width, small_height) < _LEAST_SIDE:
            break
        with contextlib.suppress(NotEnoughMemory):
            planner.plan(need_at(small_width, small_height, steps))
            return tr("--size {width}x{height} fits", width=small_width, height=small_height)
    return _NOTHING
