"""The engines that plans ask for, each opened once."""

from __future__ import annotations

import logging
from pathlib import Path

from nutshell.engines import Engine, open_engine
from nutshell.engines.compile_cache import CompileCache
from nutshell.errors import EngineUnavailable
from nutshell.language import tr
from nutshell.plan import Need, Plan, Planner, arithmetic

_LOG = logging.getLogger(__name__)


class Engines:
    """Opens an engine when the first plan needs it. given: one that is open already, under its name.

    cache: where compiled networks are kept, by plans that have the memory for it.
    """

    def __init__(self, given: dict[str, Engine] | None = None, cache: CompileCache | None = None) -> None:
        self._cache = cache
        self._caching: Engine | None = None
        self._open: dict[tuple[str, bool], Engine] = {(name, False): engine for name, engine in (given or {}).items()}

    def take(self, plan: Plan) -> Engine:
        """The engine of a plan. Raises EngineUnavailable if it does not work here after all."""
        if self._cache is not None and plan.engine == "openvino" and plan.room_to_cache:
            self._caching = self._caching or _caching(self._cache)
            return self._caching
        key = (plan.engine_name, plan.lean)
        if key not in self._open:
            self._open[key] = _lean(plan.scratch) if plan.lean else open_engine(plan.engine_name)
        return self._open[key]


def _lean(scratch: Path | None) -> Engine:
    from nutshell.engines.onnx_engine import OnnxEngine

    return OnnxEngine(lean=True, scratch=scratch)


def _caching(cache: CompileCache) -> Engine:
    from nutshell.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(cache)


def settle(planner: Planner, need: Need, engines: Engines) -> tuple[Plan, Planner]:
    """A plan whose engine works, and the planner that knows what does not.

    An engine that is installed and broken, or computes in less than its machine suggests, is found out here: the next
    plan does without, and the log says why. Raises as `Planner.plan` does.
    """
    while True:
        plan = planner.plan(need)
        try:
            engine = engines.take(plan)
        except EngineUnavailable as error:
            planner = planner.without(plan.engine, plan.device, error.message)
            if not any(offer.installed for offer in planner.offers):
                raise
            _LOG.warning(tr("{error}; the next best is taken", error=error))
            continue
        if arithmetic(plan.precision, engine.precisions) in engine.precisions:
            return plan, planner
        planner = planner.limited(plan.engine, plan.device, engine.precisions)
