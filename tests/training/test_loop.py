"""The shared training loop on a network of two numbers; seconds, no art, no network."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")

from nutshell.compress.teaching.pace import rate_factor  # noqa: E402
from training.loop import Budget, Pace, train  # noqa: E402
from training.parallel import Replicas  # noqa: E402


def squared_error(model: torch.nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    x, y = batch
    return (model(x) - y).square().mean()


def line(_share: float) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(8, 1)
    return x, 3 * x - 1


def test_the_rate_warms_up_holds_and_falls_to_nothing() -> None:
    factors = [rate_factor(share, 0.1, 0.5) for share in (0.05, 0.1, 0.4, 0.75, 1.0)]
    assert factors == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0])


def test_the_budget_counts_earlier_runs() -> None:
    assert Budget(minutes=1, spent_seconds=30).share == pytest.approx(0.5, abs=0.05)


def test_two_replicas_give_the_gradient_of_the_whole_batch() -> None:
    batch = line(0)
    whole, split = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    split.load_state_dict(whole.state_dict())
    squared_error(whole, batch).backward()
    threads = torch.get_num_threads()
    Replicas(split, 2).backward(squared_error, batch)
    torch.set_num_threads(threads)
    for one, other in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_two_replicas_leave_frozen_weights_alone() -> None:
    torch.manual_seed(0)
    whole = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Linear(4, 1))
    whole[0].requires_grad_(False)
    split = copy.deepcopy(whole)
    batch = line(0.0)
    squared_error(whole, batch).backward()
    threads = torch.get_num_threads()
    Replicas(split, 2).backward(squared_error, batch)
    torch.set_num_threads(threads)
    torch.testing.assert_close(split[1].weight.grad, whole[1].weight.grad)
    assert split[0].weight.grad is None


def test_training_learns_saves_and_resumes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    model, seen = torch.nn.Linear(1, 1), []
    pace = Pace(minutes=0.03, learning_rate=0.05, warmup=0.0, decay_from=0.5)
    average, steps = train(model, squared_error, line, pace, tmp_path / "line", on_save=seen.append)
    assert average.weight.item() == pytest.approx(3.0, abs=0.3)
    assert len(seen) == 1
    _, resumed = train(torch.nn.Linear(1, 1), squared_error, line, pace, tmp_path / "line", resume=True)
    torch.set_num_threads(threads)
    assert resumed == steps
