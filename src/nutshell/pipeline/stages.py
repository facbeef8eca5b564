"""Stages: parts of a model, loaded and compiled when they are needed, freed when the plan says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines import Session
from nutshell.networks.ops import Network
from nutshell.pipeline.eight_bits import EightBits
from nutshell.pipeline.opened import Engines
from nutshell.pipeline.page_window import page_window
from nutshell.plan import Plan, arithmetic
from nutshell.weights import Part

Array = npt.NDArray[Any]

# Everything that makes a session another one: the graph, its sizes, and how it computes.
_Key = tuple[str, tuple[tuple[int, ...], ...], tuple[str, str, bool, str, int | None]]

# Makes another network with the same inputs of each one: `nutshell.quantization.observed` to watch it, say.
Rewrite = Callable[[Network], Network]

# Told of every run of a network: its part, the inputs and the output.
Tap = Callable[[str, Mapping[str, Array], Array], None]

_NOTHING = EightBits()


class Stages:
    """Compiled networks of one model, at most one of each name."""

    def __init__(
        self,
        engines: Engines,
        parts: Mapping[str, Part],
        rewrite: Rewrite | None = None,
        tap: Tap | None = None,
        eight_bits: EightBits = _NOTHING,
    ) -> None:
        """`parts`: by `Network.part` ("text_encoder", "unet", "vae_decoder", "vae_encoder")."""
        self._engines = engines
        self._parts = parts
        self._rewrite = rewrite
        self._tap = tap
        self._eight_bits = eight_bits
        self._kept: dict[str, tuple[_Key, Session]] = {}

    @contextmanager
    def open(self, network: Network, plan: Plan) -> Iterator[Session]:
        """The compiled `network`. After the block it is freed if the plan is staged, else kept."""
        session = self._take(network, plan)
        try:
            with self._within(plan, network.part):
                yield session if self._tap is None else Tapped(session, network.part, self._tap)
        finally:
            if plan.staged:
                self._drop(network.part)

    def _within(self, plan: Plan, part: str) -> AbstractContextManager[None]:
        """Weights that are used in place take no more than the plan's ceiling leaves."""
        return page_window(plan.ceiling_bytes, self._parts[part].release) if plan.lean else nullcontext()

    def close(self) -> None:
        """Free everything."""
        for name in list(self._kept):
            self._drop(name)

    def _take(self, network: Network, plan: Plan) -> Session:
        shapes = tuple(given.shape for given in network.inputs.values())
        how = (plan.engine, plan.device, plan.lean, plan.precision, plan.threads)
        key: _Key = (network.name, shapes, how)
        kept = self._kept.get(network.part)
        if kept is not None and kept[0] == key:
            return kept[1]
        self._drop(network.part)
        part = self._parts[network.part]
        if self._rewrite is not None:
            network = self._rewrite(network)
        network = self._eight_bits.applied(network, plan.precision, part)
        engine = self._engines.take(plan)
        session = engine.compile(network, part.weights, arithmetic(plan.precision, engine.precisions), plan.threads)
        # The engine has made its own copy by now; the file's pages can go until they are read again.
        part.release()
        self._kept[network.part] = (key, session)
        return session

    def _drop(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept[1].close()


class Tapped:
    """A session that tells of every run. Closing is left to whoever made the session."""

    def __init__(self, session: Session, part: str, tap: Tap) -> None:
        self._session = session
        self._part = part
        self._tap = tap

    def __call__(self, **inputs: Array) -> npt.NDArray[np.float32]:
        output = self._session(**inputs)
        self._tap(self._part, inputs, output)
        return output

    def close(self) -> None:
        """Nothing: `Stages` closes what it opened."""
