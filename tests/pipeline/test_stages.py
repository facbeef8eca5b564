"""Stages that are compiled while others are, and never while one runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from nutshell.engines.strips import StripSession
from nutshell.errors import EngineError
from nutshell.language import tr
from nutshell.networks.autoencoder_kl_config import AutoencoderKLConfig
from nutshell.networks.autoencoder_kl_strips import encoder_strips
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
    """Remembers in which thread it compiles. In another than the main one it waits until that one compiles too.

    met: whether another compilation was under way when the main thread's last one began.
    """

    precisions = ("f32",)

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun_elsewhere = threading.Event()
        self.met = False
        self.made: list[FakeSession] = []
        self.threads: list[threading.Thread] = []
        self.broken: set[str] = set()

    def take(self, plan: Plan) -> FakeEngine:
        return self

    def compile(self, network: Network, weights: Any, precision: str, threads: int | None) -> FakeSession:
        self.threads.append(threading.current_thread())
        if threading.current_thread() is not threading.main_thread():
            self.begun_elsewhere.set()
        if threading.current_thread() is not threading.main_thread():
            assert self.go.wait(60)
        else:
            self.met = self.begun_elsewhere.is_set()
            self.go.set()
        if network.part in self.broken:
            raise EngineError(tr("cannot compile {name}", name=network.name))
        self.made.append(FakeSession(network.name))
        return self.made[-1]


class FakePart:
    weights = None
    file_bytes = 0

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


def test_stages_are_compiled_at_once_and_run_when_all_are_made(stages: Stages, engine: FakeEngine) -> None:
    stages.ahead(network("unet"), PLAN)
    assert engine.begun_elsewhere.wait(60)
    with stages.open(network("text"), PLAN) as text:
        assert engine.met
        # Nothing is being compiled any more.
        assert {session.name for session in engine.made} == {"text", "unet"}
        assert not text.closed  # type: ignore[attr-defined]
    with stages.open(network("unet"), PLAN) as unet:
        assert unet in engine.made
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


def test_strips_run_where_the_plan_says_so(stages: Stages, engine: FakeEngine) -> None:
    whole = replace(network("vae"), strips=encoder_strips(AutoencoderKLConfig((32, 32)), 64, 64, whole_bytes=1))
    assert whole.strips is not None
    in_strips = replace(PLAN, overlap=False, staged=True, strips=True)
    with stages.open(whole, in_strips) as session:
        assert isinstance(session, StripSession)
        # Each of its networks is compiled when it is due.
        assert not engine.threads
    with stages.open(network("vae"), in_strips) as session:
        assert session in engine.made
    with stages.open(whole, replace(in_strips, strips=False)) as session:
        assert session in engine.made
    assert len(engine.made) == 2


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
    assert sorted(session.name for session in engine.made) == ["text", "unet", "unet"]
