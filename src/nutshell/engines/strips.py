"""Running a network strip by strip (`nutshell.networks.strips`) on any engine, and what that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines.cost import Cost, price
from nutshell.engines.engine import Engine, Session
from nutshell.errors import EngineError
from nutshell.language import tr
from nutshell.networks.ops import Input, Network
from nutshell.networks.strips import Norm, Sheet, Strips, Sweep, Whole, Window
from nutshell.weights import Weights

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# Makes of each network the one to run in its place.
Prepare = Callable[[Network], Network]


@dataclass
class Moments:
    """Sums over a sheet, by channel, and of how many values each."""

    sums: F64
    squares: F64
    count: int = 0

    @staticmethod
    def none(channels: int) -> Moments:
        return Moments(np.zeros(channels), np.zeros(channels))

    def add(self, strip: F32) -> None:
        """strip: (1, channels, rows, width)."""
        self.count += strip.shape[2] * strip.shape[3]
        for channel, values in enumerate(strip[0]):
            # One at a time: a strip in float64 would be twice as large as the strip.
            wide = values.reshape(-1).astype(np.float64)
            self.sums[channel] += wide.sum()
            self.squares[channel] += wide @ wide

    def normal(self, groups: int, eps: float) -> tuple[F64, F64]:
        """By channel: the mean of its group, and one over the standard deviation there."""
        sums, squares = (values.reshape(groups, -1).sum(1) for values in (self.sums, self.squares))
        count = self.count * (len(self.sums) // groups)
        mean = sums / count
        variance = np.maximum(squares / count - mean**2, 0)
        times = len(self.sums) // groups
        return mean.repeat(times), (1 / np.sqrt(variance + eps)).repeat(times)


@dataclass
class Rows:
    """The rows of a sheet that are there, in strips from top to bottom; None stands for one that is only priced."""

    sheet: Sheet
    strips: list[tuple[Window, F32 | None]] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        return sum(window.rows for window, _ in self.strips) * self.sheet.row_bytes

    def cut(self, wanted: Window) -> F32:
        """(1, channels, rows, width) of those rows; a view where they lie in one strip."""
        found = []
        for window, values in self.strips:
            start, stop = max(wanted.start, window.start), min(wanted.stop, window.stop)
            if start < stop and values is not None:
                found.append(values[:, :, start - window.start : stop - window.start])
        return found[0] if len(found) == 1 else np.concatenate(found, 2)

    def forget_above(self, row: int) -> None:
        """Free the strips that end there."""
        self.strips = [(window, values) for window, values in self.strips if window.stop > row]


class StripSession:
    """A `Session` that runs a network strip by strip. What it needs is compiled when it is due, and freed after."""

    def __init__(
        self, engine: Engine, strips: Strips, weights: Weights, prepare: Prepare, precision: str, threads: int | None
    ) -> None:
        self._engine = engine
        self._strips = strips
        self._weights = weights
        self._prepare = prepare
        self._how = (precision, threads)
        self._closed = False

    def __call__(self, **inputs: Array) -> F32:
        return self.run(**inputs)[0]

    def run(self, **inputs: Array) -> tuple[F32, ...]:
        given = self._strips.given
        if self._closed:
            raise EngineError(tr("the session of {name} is closed", name=self._strips.part))
        if inputs.keys() != {given.name}:
            raise EngineError(
                tr(
                    "{name} takes {expected}, not {inputs}",
                    name=self._strips.part,
                    expected=given.name,
                    inputs=", ".join(inputs),
                )
            )
        there = {given.name: Rows(given, [(_all(given), np.asarray(inputs[given.name], np.float32))])}
        moments: dict[str, Moments] = {}
        for step in self._strips.steps:
            if isinstance(step, Whole):
                self._whole(step, there)
            else:
                self._sweep(step, there, moments)
        result = self._strips.steps[-1].writes
        return (there[result.name].cut(_all(result)),)

    def close(self) -> None:
        self._closed = True

    def _whole(self, step: Whole, there: dict[str, Rows]) -> None:
        (name,) = step.network.inputs
        with closing(self._compiled(step.network)) as session:
            made = session(**{name: there.pop(step.reads.name).cut(_all(step.reads))})
        there[step.writes.name] = Rows(step.writes, [(_all(step.writes), made)])

    def _sweep(self, sweep: Sweep, there: dict[str, Rows], moments: dict[str, Moments]) -> None:
        fixed = self._normalizing(sweep.norms, moments)
        made, seen = Rows(sweep.writes), Moments.none(sweep.writes.channels)
        sessions: dict[tuple[int, ...], Session] = {}
        with ExitStack() as opened:
            for window in _windows(sweep, self._strips, there):
                if window.shape not in sessions:
                    network = strip_network(sweep, window, self._strips.part)
                    sessions[window.shape] = opened.enter_context(closing(self._compiled(network)))
                cut = {name: there[sheet.name].cut(rows(window)) for name, (sheet, rows) in sweep.reads.items()}
                strip = sessions[window.shape](**cut, **fixed)
                if sweep.measured:
                    seen.add(strip)
                if sweep.kept:
                    made.strips.append((window, strip))
        if sweep.measured:
            moments[sweep.writes.name] = seen
        if sweep.kept:
            there[sweep.writes.name] = made

    def _normalizing(self, norms: Sequence[Norm], moments: Mapping[str, Moments]) -> dict[str, F32]:
        """What a strip is multiplied by and what is added then."""
        found: dict[str, F64] = {}
        for place, norm in enumerate(norms):
            mean, steepness = moments[norm.of.name].normal(norm.groups, norm.eps)
            scope = self._weights.at(*norm.scope)
            weight, bias = (scope.take(name, mean.shape).f32().astype(np.float64) for name in ("weight", "bias"))
            found[f"scale{place}"] = steepness * weight
            found[f"shift{place}"] = bias - mean * steepness * weight
        return {name: values.astype(np.float32).reshape(1, -1, 1, 1) for name, values in found.items()}

    def _compiled(self, network: Network) -> Session:
        return self._engine.compile(self._prepare(network), self._weights, *self._how)


def strip_network(sweep: Sweep, window: Window, part: str) -> Network:
    """The network of one strip."""
    inputs = {
        name: Input((1, sheet.channels, rows(window).rows, sheet.width)) for name, (sheet, rows) in sweep.reads.items()
    }
    for place, norm in enumerate(sweep.norms):
        inputs |= dict.fromkeys((f"scale{place}", f"shift{place}"), Input((1, norm.of.channels, 1, 1)))
    return Network(
        part, f"{part} {sweep.name}", inputs, lambda ops, weights, given: sweep.run(ops, weights, given, window)
    )


def price_strips(strips: Strips, weights: Weights) -> Cost:
    """What one run in strips takes. Weights are counted once, operations and nodes as often as they run or are made."""
    there = {strips.given.name: Rows(strips.given, [(_all(strips.given), None)])}
    costs: list[Cost] = []
    most = operations = 0
    for step in strips.steps:
        if isinstance(step, Whole):
            cost = price(step.network, weights)
            del there[step.reads.name]
            most = max(most, _held(there) + cost.peak_activation_bytes)
            operations += cost.operations
            costs.append(cost)
            there[step.writes.name] = Rows(step.writes, [(_all(step.writes), None)])
            continue
        made, known = Rows(step.writes), dict[tuple[int, ...], Cost]()
        for window in _windows(step, strips, there):
            if window.shape not in known:
                known[window.shape] = price(strip_network(step, window, strips.part), weights)
            cost = known[window.shape]
            most = max(most, _held(there) + made.nbytes + cost.peak_activation_bytes)
            operations += cost.operations
            if step.kept:
                made.strips.append((window, None))
        costs += known.values()
        if step.kept:
            there[step.writes.name] = made
    return Cost(operations, 0, 0, most, sum(cost.nodes for cost in costs))


def _held(there: Mapping[str, Rows]) -> int:
    return sum(rows.nbytes for rows in there.values())


def _windows(sweep: Sweep, strips: Strips, there: dict[str, Rows]) -> Iterator[Window]:
    """The strips of a sweep. Rows that nothing reads any more are freed between them."""
    windows = sweep.windows(strips.strip_bytes)
    for window, following in zip(windows, [*windows[1:], None], strict=True):
        yield window
        for name in sweep.done:
            if following is None:
                del there[name]
                continue
            needed = (rows(following).start for sheet, rows in sweep.reads.values() if sheet.name == name)
            there[name].forget_above(min(needed))


def _all(sheet: Sheet) -> Window:
    return Window(0, sheet.height, sheet.height)
