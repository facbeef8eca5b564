"""Memory that becomes short while a stage is loaded: what was loaded is given up, and a leaner plan draws."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nutshell
from nutshell.errors import EngineError, MemoryPressure
from nutshell.language import tr
from nutshell.machine.pressure import Pressure, read_pressure
from nutshell.pipeline import Request
from nutshell.pipeline.strain import CALM, Watch

STORM = 10**9


class Machine:
    """Tells of a storm from the second look on, and forgets it when it is told to."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.stormy = True
        self.seen = threading.Event()
        (proc / "self").mkdir()
        (proc / "self" / "status").write_text("VmSwap: 0 kB\n")
        self.faults = 0

    def read(self) -> Pressure | None:
        text = f"1 (x) R 1 1 1 0 -1 0 0 0 {self.faults} 0\n"
        (self.proc / "self" / "stat").write_text(text)
        if self.faults:
            self.seen.set()
        self.faults = STORM if self.stormy else 0
        return read_pressure(self.proc, self.proc)


def test_what_was_loaded_in_a_storm_is_given_up(tmp_path: Path) -> None:
    machine, released = Machine(tmp_path), threading.Event()
    with (
        pytest.raises(MemoryPressure, match="again and again"),
        Watch(machine.read, every=0.001).over(1000, released.set),
    ):
        # Pages are dropped while it still loads.
        assert released.wait(60)


def test_a_calm_machine_loads(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.stormy = False
    with Watch(machine.read, every=0.001).over(1000, lambda: pytest.fail("released")):
        threading.Event().wait(0.05)
    with CALM.over(0, lambda: pytest.fail("released")):
        pass


def test_another_error_comes_out_as_it_is(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    def load() -> None:
        with Watch(machine.read, every=0.001).over(1000, lambda: None):
            assert machine.seen.wait(60)
            raise EngineError(tr("broken"))

    with pytest.raises(EngineError, match="broken"):
        load()


def stormy(count: int) -> Any:
    """A watch under which so many stages are given up."""
    left = [count]

    class Breaking(Watch):
        def over(self, read_bytes: int, release: Any) -> Any:
            if not left[0]:
                return CALM.over(read_bytes, release)
            left[0] -= 1
            return _breaking()

    return Breaking()


class _breaking:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        raise MemoryPressure(tr("loading was stopped"))


def test_a_leaner_plan_draws(caplog: pytest.LogCaptureFixture) -> None:
    request = Request("a red apple", seed=7, steps=2, count=2)
    with nutshell.load("artist", precision="f32", learn=False, threads=1) as model:
        # What other tests left in this process would count, and no plan be so much leaner.
        model._planner = replace(model._planner, held_bytes=0)
        order = model.order(request)
        first = model.plan(order)
        expected = [np.asarray(picture.image, np.float64) for picture in model.draw(request)]
        model._kit.stages.close()
        model._kit.stages._watch = stormy(1)
        with caplog.at_level(logging.WARNING):
            drawn = list(model.draw(request))
        assert "drawing goes on in less memory" in caplog.text
        assert [picture.seed for picture in drawn] == [7, 8]
        after = model.plan(order)
        assert after.need_bytes < first.need_bytes
        for picture, wanted in zip(drawn, expected, strict=True):
            error = np.mean((np.asarray(picture.image, np.float64) - wanted) ** 2)
            assert 10 * np.log10(255**2 / max(error, 1e-9)) > 40


def test_without_a_leaner_plan_it_is_said() -> None:
    with nutshell.load("artist", engine="openvino", precision="f32", staged=True, learn=False) as model:
        least = model.plan(model.order(Request("a red apple"))).need_bytes
        model._planner = replace(model._planner, max_memory=least)
        model._kit.stages._watch = stormy(100)
        with pytest.raises(MemoryPressure):
            model.generate("a red apple", seed=7, steps=1)
