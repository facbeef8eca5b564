"""Stages that are compiled while others run."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from nutshell.errors import EngineError
from nutshell.language import tr
from nutshell.networks.ops import Input, Network
from nutshell.pipeline.stages import Stages
from nutshell.plan import Plan

PLAN = Plan("fake", "f32", 1, False, 1, (), overlap=True)


def network(part: str, side: int = 1) -> Network:
    return Network(part, part, {"x": Input((1, side))}, lambda ops, weights, given: given["x"])


class FakeSession:
    def __init__(self, name: str) -> None:
        self.name, self.closed = name, False

    def close(self) -> None:
        self.closed = True


class FakeEngine:
    """Compiles when `go` lets it, and remembers in which thread."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.made: list[FakeSession] = []
        self.threads: list[threading.Thread] = []
        self.broken: set[str] = set()

    def take(self, plan: Plan) -> FakeEngine:
        return self

    def compile(self, network: Network, weights: Any, precision: str, threads: int | None) -> FakeSession:
        self.threads.append(threading.current_thread())
        self.begun.set()
        if threading.current_thread() is not threading.main_thread():
            assert self.go.wait(60)
        if network.part in self.broken:
            raise EngineError(tr("cannot compile {name}", name=network.name))
        self.made.append(FakeSession(network.name))
        return self.made[-1]


class FakePart:
    weights = None

    def release(self) -> None:
        pass


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def stages(engine: FakeEngine) -> Any:
    made = Stages(engine, {"text": FakePart(), "unet": FakePart(), "vae": FakePart()})  # type: ignore[arg-type,dict-item]
    yield made
    engine.go.set()
    made.close()


def test_one_stage_is_compiled_while_another_runs(stages: Stages, engine: FakeEngine) -> None:
    stages.ahead(network("unet"), PLAN)
    assert engine.begun.wait(60)
    with stages.open(network("text"), PLAN) as text:
        # The first is still being compiled.
        assert [session.name for session in engine.made] == ["text"]
        assert not text.closed  # type: ignore[attr-defined]
    engine.go.set()
    with stages.open(network("unet"), PLAN) as unet:
        assert unet is engine.made[1]
    assert len({id(thread) for thread in engine.threads}) == 2
    stages.ahead(network("unet"), PLAN)
    with stages.open(network("unet"), PLAN) as again:
        assert again is unet
    assert len(engine.made) == 2


def test_what_goes_wrong_comes_out_where_it_is_wanted(stages: Stages, engine: FakeEngine) -> None:
    engine.broken.add("unet")
    engine.go.set()
    stages.ahead(network("unet"), PLAN)
    with stages.open(network("text"), PLAN):
        pass
    with pytest.raises(EngineError, match="cannot compile unet"), stages.open(network("unet"), PLAN):
        pass
    # And the next try is a try.
    engine.broken.clear()
    with stages.open(network("unet"), PLAN) as unet:
        assert not unet.closed  # type: ignore[attr-defined]


def test_nothing_begins_ahead_without_room_for_it(stages: Stages, engine: FakeEngine) -> None:
    stages.ahead(network("unet"), replace(PLAN, overlap=False))
    assert not engine.threads
    with stages.open(network("unet"), PLAN):
        assert engine.threads == [threading.main_thread()]


def test_what_nobody_wants_is_freed(stages: Stages, engine: FakeEngine) -> None:
    engine.go.set()
    stages.ahead(network("unet", 1), PLAN)
    with stages.open(network("unet", 2), PLAN) as other:
        assert engine.made[0].closed
        assert not other.closed  # type: ignore[attr-defined]
    engine.broken.add("vae")
    stages.ahead(network("vae"), PLAN)
    stages.ahead(network("text"), PLAN)
    stages.close()
    assert all(session.closed for session in engine.made)
    assert [session.name for session in engine.made] == ["unet", "unet", "text"]
