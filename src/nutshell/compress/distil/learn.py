"""The loop: one batch after another, an average of the weights, a checkpoint now and then."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nutshell.compress.distil.lessons import Lesson
from nutshell.compress.distil.wish import Figures
from nutshell.compress.teaching.checkpoint import load_state, save_state
from nutshell.compress.teaching.pace import rate_factor, update_average
from nutshell.errors import EngineError
from nutshell.language import tr

SAVE_SECONDS = 300.0
_PART_BYTES = 1 << 30
_SLOWLY = 0.02


@dataclass(frozen=True)
class Told:
    """After a batch: so many of them are done; the loss, averaged over some; seconds left."""

    done: int
    batches: int
    loss: float
    left_seconds: float


@dataclass(frozen=True)
class Learned:
    """weights: the averages, by name. first_loss, last_loss: averaged over the first tenth, and at the end."""

    weights: dict[str, Tensor]
    first_loss: float
    last_loss: float


@dataclass
class _State:
    """Everything that a checkpoint holds."""

    parameters: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: Any
    done: int = 0
    loss: float = 0.0
    first_loss: float = 0.0

    def save(self, folder: Path) -> None:
        plain = {name: value.detach() for name, value in self.parameters.items()}
        state = {"parameters": plain, "average": self.average, "optimizer": self.optimizer.state_dict(),
                 "done": self.done, "loss": self.loss, "first_loss": self.first_loss}  # fmt: skip
        save_state(state, folder, _PART_BYTES)

    def load(self, folder: Path, device: str) -> None:
        """Take up what was saved there, if anything was."""
        if (state := load_state(folder, device)) is None:
            return
        with torch.no_grad():
            for known, stored in ((self.parameters, state["parameters"]), (self.average, state["average"])):
                for name, value in known.items():
                    value.copy_(stored[name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.loss, self.first_loss = state["done"], state["loss"], state["first_loss"]


def learn(
    lesson: Lesson,
    figures: Figures,
    batches: int,
    folder: Path,
    device: str,
    on_batch: Callable[[Told], None],
    save_seconds: float = SAVE_SECONDS,
) -> Learned:
    """Learn from `batches` batches; a checkpoint in `folder` is taken up, and one is left at the end.

    on_batch: an exception raised in it ends the training, after a checkpoint. Raises EngineError where the loss is not
    a number any more, OutputError and CorruptFile for the checkpoint.
    """
    state = _start(lesson, device)
    state.load(folder, device)
    begun, began_at, saved = time.monotonic(), state.done, time.monotonic()
    while state.done < batches:
        share = state.done / batches
        with _saving(state, folder):
            loss = _gradients(lesson, state, share)
        _step(state, figures, loss, share, batches)
        with _saving(state, folder):
            spent, made = time.monotonic() - begun, state.done - began_at
            on_batch(Told(state.done, batches, state.loss, spent / made * (batches - state.done)))
        if time.monotonic() - saved >= save_seconds:
            state.save(folder)
            saved = time.monotonic()
    state.save(folder)
    return Learned(state.average, state.first_loss, state.loss)


@contextlib.contextmanager
def _saving(state: _State, folder: Path) -> Iterator[None]:
    """Where a stop leaves the weights as they are between two batches: a checkpoint of them."""
    try:
        yield
    except BaseException:
        state.save(folder)
        raise


def _start(lesson: Lesson, device: str) -> _State:
    for value in lesson.parameters.values():
        value.requires_grad_(True)
    average = {name: value.detach().clone() for name, value in lesson.parameters.items()}
    fused = device.partition(":")[0] in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(
        list(lesson.parameters.values()), betas=(0.9, 0.98), weight_decay=0.01, fused=fused or None
    )
    return _State(lesson.parameters, average, optimizer)


def _gradients(lesson: Lesson, state: _State, share: float) -> float:
    """Of the next batch; returns its loss."""
    state.optimizer.zero_grad()
    loss = lesson.loss(state.done, share)
    loss.backward()
    value = float(loss.detach())
    if math.isnan(value) or math.isinf(value):
        raise EngineError(
            tr("the loss is not a number any more, after {done} batches", done=state.done),
            tr("delete the training's folder and learn more slowly: a smaller --rate"),
        )
    return value


def _step(state: _State, figures: Figures, loss: float, share: float, batches: int) -> None:
    for group in state.optimizer.param_groups:
        group["lr"] = figures.learning_rate * rate_factor(share, figures.warmup, figures.decay_from)
    parameters = list(state.parameters.values())
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    state.optimizer.step()
    state.done += 1
    update_average(state.average.values(), parameters, figures.ema, state.done)
    state.loss += (loss - state.loss) * max(_SLOWLY, 1 / state.done)
    if state.done <= max(1, batches // 10):
        state.first_loss = state.loss
