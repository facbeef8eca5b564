"""The training loop both networks share: a time budget, an average of the weights, checkpoints.

The learning rate is a function of the share of the time budget spent, because the final decay to zero
is what makes a picture sharp, and on a borrowed machine only the time is known beforehand.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nutshell.compress.teaching.checkpoint import load_state, save_state
from nutshell.compress.teaching.pace import rate_factor, update_average
from training.parallel import Replicas, replica_count

LOG_EVERY_STEPS = 100
SAVE_EVERY_SECONDS = 300.0


@dataclass(frozen=True)
class Pace:
    """How fast to learn: `warmup` and `decay_from` are shares of `minutes`, `ema` the average's decay (0: none).

    `rates` are factors on the learning rate of the parameters whose names begin so.
    """

    minutes: float
    learning_rate: float
    warmup: float
    decay_from: float
    ema: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)


class Budget:
    """Counts the seconds of training, those of earlier runs included."""

    def __init__(self, minutes: float, spent_seconds: float = 0.0) -> None:
        self.total_seconds = minutes * 60
        self._start = time.monotonic() - spent_seconds

    @property
    def spent_seconds(self) -> float:
        """Seconds trained so far."""
        return time.monotonic() - self._start

    @property
    def share(self) -> float:
        """Share of the budget spent, 0..1."""
        return min(1.0, self.spent_seconds / self.total_seconds)


def parameter_groups(model: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters by their factor on the learning rate, as an optimizer takes them."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = next((factor for start, factor in rates.items() if name.startswith(start)), 1.0)
        groups.setdefault(rate, []).append(parameter)
    return [{"params": parameters, "rate": rate} for rate, parameters in groups.items()]


def train(
    model: nn.Module,
    loss_of: Callable[[nn.Module, tuple[Tensor, ...]], Tensor],
    draw_batch: Callable[[float], tuple[Tensor, ...]],
    pace: Pace,
    checkpoint: Path,
    resume: bool = False,
    on_save: Callable[[nn.Module], None] | None = None,
) -> tuple[nn.Module, int]:
    """Train `model` until the budget is spent; return the averaged network and the steps taken.

    `draw_batch` gets the share of the budget spent; `on_save` gets the average at every checkpoint, a folder.
    """
    device = next(model.parameters()).device
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(parameter_groups(model, pace.rates), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step, spent = 0, 0.0
    if resume and (state := load_state(checkpoint, device)) is not None:
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent_seconds"]

    def save() -> None:
        states = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
        save_state({**states, "step": step, "spent_seconds": budget.spent_seconds}, checkpoint)
        if on_save:
            on_save(average)

    replicas = Replicas(model, replica_count(device))
    budget, saved, mean_loss = Budget(pace.minutes, spent), spent, 0.0
    while budget.share < 1:
        for group in optimizer.param_groups:
            group["lr"] = pace.learning_rate * group["rate"] * rate_factor(budget.share, pace.warmup, pace.decay_from)
        loss = replicas.backward(loss_of, tuple(tensor.to(device) for tensor in draw_batch(budget.share)))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        update_average(average.parameters(), model.parameters(), pace.ema, step)
        mean_loss += (loss - mean_loss) * (0.02 if mean_loss else 1.0)
        if step % LOG_EVERY_STEPS == 0:
            print(f"step {step} {budget.spent_seconds:.0f} s loss {mean_loss:.4f}", flush=True)
        if budget.spent_seconds - saved > SAVE_EVERY_SECONDS:
            saved = budget.spent_seconds
            save()
    save()
    return average, step
