"""Stages: parts of a model, loaded and compiled when they are needed, freed when the plan says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines import Engine, Session
from nutshell.engines.onnx_engine import OnnxSession
from nutshell.engines.strips import StripSession
from nutshell.errors import NutshellError
from nutshell.networks.ops import Network
from nutshell.pipeline.eight_bits import EightBits
from nutshell.pipeline.opened import Engines
from nutshell.pipeline.page_window import page_window
from nutshell.pipeline.strain import CALM, Watch
from nutshell.plan import Plan
from nutshell.weights import Part

Array = npt.NDArray[Any]

# Everything that makes a session another one: the graph, its sizes, and how it computes.
_Key = tuple[str, tuple[tuple[int, ...], ...], tuple[str, str, bool, bool, str, int | None]]

# Compilations beside that of the stage that is waited for: parts of each run on one core.
_AT_ONCE = 2

# Makes another network with the same inputs of each one: `nutshell.quantization.observed` to watch it, say.
Rewrite = Callable[[Network], Network]

# Told of every run of a network: its part, the inputs and the first output.
Tap = Callable[[str, Mapping[str, Array], Array], None]

_NOTHING = EightBits()


class Stages:
    """Compiled networks of one model, at most one of each part.

    `ahead` compiles in threads of its own, which the engines allow: they let Python go meanwhile. Everything else is
    for one thread at a time.
    """

    def __init__(
        self,
        engines: Engines,
        parts: Mapping[str, Part],
        rewrite: Rewrite | None = None,
        tap: Tap | None = None,
        eight_bits: EightBits = _NOTHING,
        watch: Watch = CALM,
    ) -> None:
        """`parts`: by `Network.part` ("text_encoder", "unet", "unet_outer", "vae_decoder", "vae_encoder"). watch:
        looks at the machine while weights are copied; with MemoryPressure an `open` gives up.
        """
        self._engines = engines
        self._parts = parts
        self._rewrite = rewrite
        self._tap = tap
        self._eight_bits = eight_bits
        self._watch = watch
        self._kept: dict[str, tuple[_Key, Session]] = {}
        self._coming: dict[str, tuple[_Key, Future[Session]]] = {}
        self._worker: ThreadPoolExecutor | None = None

    def over(self, parts: Mapping[str, Part]) -> Stages:
        """Stages of their own over other parts, by the same engines; of eight bits only those of attention."""
        attention = EightBits(attention=self._eight_bits.attention)
        return Stages(self._engines, parts, self._rewrite, self._tap, attention, watch=self._watch)

    @contextmanager
    def open(self, network: Network, plan: Plan) -> Iterator[Session]:
        """The compiled `network`. After the block it is freed if the plan is staged, else kept."""
        session = self._take(network, plan)
        # Nothing runs while something is compiled: engines split sums among the threads that are free, and the same
        # seed would more often draw a picture of other last bits.
        wait([coming for _, coming in self._coming.values()])
        try:
            with self._within(plan, network.part, session):
                yield session if self._tap is None else Tapped(session, network.part, self._tap)
        finally:
            if plan.staged:
                self._drop(network.part)

    def _within(self, plan: Plan, part: str, session: Session) -> AbstractContextManager[None]:
        """Weights that are used in place take no more than the plan's ceiling leaves."""
        if not plan.lean:
            return nullcontext()

        def release() -> None:
            self._parts[part].release()
            if isinstance(session, OnnxSession):
                session.release()

        return page_window(plan.ceiling_bytes, release)

    def ahead(self, network: Network, plan: Plan) -> None:
        """Begin to compile `network` while others are compiled, where the plan has room for that.

        What goes wrong there comes out of the `open` that wants it, as it would without.
        """
        if not plan.overlap:
            return
        key, part = _key_of(network, plan), network.part
        if any(found is not None and found[0] == key for found in (self._kept.get(part), self._coming.get(part))):
            return
        self._drop(part)
        engine = self._engines.take(plan)
        if self._worker is None:
            self._worker = ThreadPoolExecutor(_AT_ONCE, "compile")
        self._coming[part] = key, self._worker.submit(self._compile, engine, network, plan)

    def close(self) -> None:
        """Free everything."""
        for name in {*self._kept, *self._coming}:
            self._drop(name)
        if self._worker is not None:
            self._worker.shutdown()
            self._worker = None

    def _take(self, network: Network, plan: Plan) -> Session:
        key = _key_of(network, plan)
        self._arrive(network.part, key)
        kept = self._kept.get(network.part)
        if kept is not None and kept[0] == key:
            return kept[1]
        self._drop(network.part)
        session = self._compile(self._engines.take(plan), network, plan)
        self._kept[network.part] = (key, session)
        return session

    def _compile(self, engine: Engine, network: Network, plan: Plan) -> Session:
        part = self._parts[network.part]

        def prepared(network: Network) -> Network:
            if self._rewrite is not None:
                network = self._rewrite(network)
            return self._eight_bits.applied(network, plan, part, engine.precisions)

        precision = self._eight_bits.arithmetic(plan.precision, engine.precisions)
        if plan.strips and network.strips is not None:
            return StripSession(engine, network.strips, part.weights, prepared, precision, plan.threads)
        with ExitStack() as unless_kept:
            # Weights in place are read again from the disk by design, and take no more than is there.
            with (CALM if plan.lean else self._watch).over(part.file_bytes, part.release):
                session = engine.compile(prepared(network), part.weights, precision, plan.threads)
                unless_kept.callback(session.close)
            unless_kept.pop_all()
        # The engine has made its own copy by now; the file's pages can go until they are read again.
        part.release()
        return session

    def _arrive(self, part: str, key: _Key) -> None:
        """Wait for what is being compiled for a part, and keep it if it is what is wanted."""
        if part not in self._coming:
            return
        if self._coming[part][0] != key:
            self._drop(part)
            return
        _, coming = self._coming[part]
        # An interrupt while waiting leaves it where `close` finds it.
        wait([coming])
        del self._coming[part]
        self._kept[part] = (key, coming.result())

    def _drop(self, name: str) -> None:
        coming = self._coming.pop(name, None)
        if coming is not None:
            # Nobody wants it any more, nor what went wrong with it.
            with suppress(NutshellError):
                coming[1].result().close()
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
        return self.run(**inputs)[0]

    def run(self, **inputs: Array) -> tuple[npt.NDArray[np.float32], ...]:
        outputs = self._session.run(**inputs)
        self._tap(self._part, inputs, outputs[0])
        return outputs

    def close(self) -> None:
        """Nothing: `Stages` closes what it opened."""


def _key_of(network: Network, plan: Plan) -> _Key:
    shapes = tuple(given.shape for given in network.inputs.values())
    return network.name, shapes, (plan.engine, plan.device, plan.lean, plan.strips, plan.precision, plan.threads)
