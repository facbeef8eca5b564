"""What one batch teaches: the teacher's prediction and features, or where several of its steps lead.

Everything that is drawn by lot comes from the batch's own number, so a training that was stopped goes on as if it had
not been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nutshell.compress.distil.networks import Denoiser
from nutshell.compress.distil.rows import Rows
from nutshell.compress.distil.wish import Figures, whole_batch
from nutshell.compress.teaching.few_steps import FewSteps
from nutshell.compress.teaching.losses import distillation_loss, shared_features
from nutshell.compress.teaching.noise import Noised, add_noise, draw_steps

_SEEDS = 1_000_003
_FIT_BATCHES = 4
_RIDGE = 1e-4


class Lesson(Protocol):
    """parameters: all that learns; those of the student's denoiser by their own names."""

    parameters: dict[str, Tensor]

    def loss(self, number: int, share: float) -> Tensor:
        """Of batch `number`. share: of the training that is done."""
        ...


@dataclass(frozen=True)
class Material:
    """What is learned from. states: (pictures, latents each, c, h, w), the last of each without noise; where a run of
    few steps is kept, from its noise on. conditions: (captions, tokens, width), the last of "" (see `captions`).

    captions: for each picture its place in `conditions`.
    """

    states: Rows
    conditions: Rows
    captions: Sequence[int]

    def draw(self, count: int, empty_share: float, lots: torch.Generator, device: str) -> tuple[Tensor, Tensor]:
        """States (count, latents, c, h, w) and conditions (count, tokens, width) of pictures taken by lot."""
        chosen = torch.randint(len(self.states), (count,), generator=lots).tolist()
        empty = torch.rand(count, generator=lots).tolist()
        told = [len(self.conditions) - 1 if place < empty_share else self.captions[number]
                for number, place in zip(chosen, empty, strict=True)]  # fmt: skip
        rows = (np.stack([stored[place] for place in places]) for stored, places in
                ((self.states, chosen), (self.conditions, told)))  # fmt: skip
        states, conditions = (torch.from_numpy(array).to(device) for array in rows)
        return states, conditions


def lots_of(seed: int, number: int) -> torch.Generator:
    """The lots of one batch."""
    return torch.Generator().manual_seed(seed * _SEEDS + number)


class FromTeacher:
    """The teacher's prediction and features on noised latents. Where its channels are more, a projection says what the
    student's tell about them (FitNets, Romero et al. 2014, arXiv:1412.6550), fitted by least squares at the start."""

    def __init__(
        self,
        student: Denoiser,
        teacher: Denoiser | None,
        material: Material,
        figures: Figures,
        alphas: Tensor,
        prediction: str,
        batch: int,
        seed: int,
    ) -> None:
        self._student, self._teacher, self._material = student, teacher, material
        self._figures, self._alphas, self._prediction = figures, alphas, prediction
        self._batch, self._seed = batch, seed
        self.parameters: dict[str, Tensor] = dict(student.parameters)
        self._wanted = frozenset(_compared(student, teacher) if teacher and figures.feature_weight else ())
        self._fit()

    def loss(self, number: int, share: float) -> Tensor:
        noised, condition = self._noised(number)
        wanted, theirs = self._taught(noised, condition)
        predicted, ours = self._student.with_features(noised.noisy, noised.steps, condition, self._wanted)
        told = {name: self._projected(name, ours[name]) for name in sorted(ours)}
        return distillation_loss(noised, predicted, wanted, told, theirs, self._figures)

    def _noised(self, number: int) -> tuple[Noised, Tensor]:
        lots, device = lots_of(self._seed, number), self._alphas.device
        states, condition = self._material.draw(self._batch, self._figures.empty_caption, lots, str(device))
        latents = states[:, -1]
        last = len(self._alphas) - 1
        steps = draw_steps(len(latents), self._figures, last, torch.device("cpu"), lots).to(device)
        noise = torch.randn(latents.shape, generator=lots).to(device)
        return add_noise(latents, steps, self._alphas, noise, self._prediction), condition

    def _taught(self, noised: Noised, condition: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        if self._teacher is None:
            return noised.target, {}
        with torch.no_grad():
            return self._teacher.with_features(noised.noisy, noised.steps, condition, self._wanted)

    def _projected(self, name: str, feature: Tensor) -> Tensor:
        weight = self.parameters.get(f"projection.{name}.weight")
        if weight is None:
            return feature
        return functional.conv2d(feature, weight[:, :, None, None], self.parameters[f"projection.{name}.bias"])

    def _fit(self) -> None:
        """Add a projection for each feature that is narrower: ridge regression over the first batches."""
        seen: dict[str, list[tuple[Tensor, Tensor]]] = {}
        with torch.no_grad():
            for number in range(_FIT_BATCHES if self._wanted else 0):
                noised, condition = self._noised(-1 - number)
                _, theirs = self._taught(noised, condition)
                _, ours = self._student.with_features(noised.noisy, noised.steps, condition, self._wanted)
                for name in self._wanted:
                    if ours[name].shape != theirs[name].shape:
                        seen.setdefault(name, []).append((_cells(ours[name]), _cells(theirs[name])))
            for name in sorted(seen):
                weight, bias = _regression(*(torch.cat(parts) for parts in zip(*seen[name], strict=True)))
                self.parameters[f"projection.{name}.weight"] = weight
                self.parameters[f"projection.{name}.bias"] = bias


class FromRuns:
    """Few steps in place of many guided ones: each by itself, and from `whole_from` on one after another."""

    def __init__(
        self, student: Denoiser, material: Material, figures: Figures, few: FewSteps, batch: int, seed: int, device: str
    ) -> None:
        self._student, self._material, self._figures, self._few = student, material, figures, few
        self._batch, self._seed, self._device = batch, seed, device
        self.parameters: dict[str, Tensor] = dict(student.parameters)

    def loss(self, number: int, share: float) -> Tensor:
        lots = lots_of(self._seed, number)
        whole = share >= self._figures.whole_from
        count = whole_batch(self._batch) if whole else self._batch
        # Every run is of its own caption: guidance is folded in, so nothing is drawn without one any more.
        states, condition = self._material.draw(count, 0.0, lots, self._device)

        def predict(latents: Tensor, steps: Tensor) -> Tensor:
            return self._student(latents, steps, condition)

        if whole:
            return self._few.run_loss(predict, states)
        places = torch.randint(len(self._few.steps), (count,), generator=lots).to(self._device)
        return self._few.loss(predict, states, places)


def _compared(student: Denoiser, teacher: Denoiser) -> list[str]:
    configs = student.config, teacher.config
    return shared_features(configs[0].levels, configs[1].levels, all(config.mid != "none" for config in configs))


def _cells(feature: Tensor) -> Tensor:
    """(n, channels, h, w) -> (cells, channels)."""
    return feature.movedim(1, -1).flatten(0, -2)


def _regression(ours: Any, theirs: Any) -> tuple[Tensor, Tensor]:
    """Weight (theirs, ours) and bias (theirs,) that tell most of `theirs` (cells, channels) from `ours`."""
    middle, aim = ours.mean(0), theirs.mean(0)
    ours, theirs = (ours - middle).cpu().double(), (theirs - aim).cpu().double()
    power = ours.T @ ours
    power += torch.eye(len(power), dtype=power.dtype) * (_RIDGE * power.trace() / len(power) + 1e-12)
    weight = torch.linalg.solve(power, ours.T @ theirs).T.to(middle)
    return weight.contiguous(), aim - weight @ middle
