"""Make a model's calibration card: draw some pictures in float32, watch every layer, weigh what eight bits cost each,
and measure what they cost the pictures.

card = calibrate("artist", pictures=4, work=Path("somewhere"))

Memory stays near what drawing takes: parts are looked at one after another, with a few runs each.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nutshell.compress.calls import Call, Tape, call_networks, replay, spread
from nutshell.compress.curve import measure_curve
from nutshell.compress.found_scales import PartScales, find_scales
from nutshell.compress.prompts import packaged_prompts, prompts_hash
from nutshell.compress.shares import layer_operations, shares
from nutshell.compress.work import Array, Work, take_up
from nutshell.engines import open_engine
from nutshell.errors import UsageError
from nutshell.language import Text, tr
from nutshell.machine import probe
from nutshell.networks.ops import Network
from nutshell.pipeline import Model, Progress, Request, load
from nutshell.pipeline.cards import fingerprints
from nutshell.pipeline.eight_bits import largest_weight
from nutshell.pipeline.order import sized_networks
from nutshell.plan import arithmetic
from nutshell.quantization import (
    DEFAULT_DB,
    HALVES,
    PARTS,
    STORED_PART,
    Around,
    CalibrationCard,
    CardLayer,
    CardPart,
    CurvePoint,
    Made,
    Noises,
    Record,
    decibels,
    joint,
    observed,
    quantized,
    scales_without,
    sensed,
)
from nutshell.store import Found

# Told of (what is done, how much of it, of how much).
OnProgress = Callable[[Text, int, int], None]

PICTURES = 4
# Of the denoiser's runs for a picture so many are watched: values change slowly from step to step. And in so many
# every layer runs a second time in eight bits, which takes twice as long.
_WATCHED = 8
_WEIGHED = 3
# Weighing and measuring tell as much from a few pictures.
_COMPARED = 2
_FORMAT = 2

# Of the scale on which progress is told, for one picture; of measurements, about as many as there will be.
_STEPS_OF_PROGRESS = 100
_USUAL_POINTS = 10

_DRAWING, _WATCHING = tr("drawing in float32"), tr("watching layers")
_WEIGHING, _MEASURING = tr("weighing layers"), tr("measuring pictures in eight bits")


@dataclass(frozen=True)
class Job:
    """What is calibrated, and how. engine: None for the fastest that is here."""

    model: str | Path | Found
    prompts: tuple[str, ...]
    pictures: int
    engine: str | None
    threads: int | None
    max_memory: int | None
    size: tuple[int, int] | None
    steps: int | None
    on_progress: OnProgress

    def opened(self, precision: str | None = "f32", **options: Any) -> AbstractContextManager[Model]:
        """The model, one part in memory at a time."""
        return load(
            self.model,
            engine=self.engine,
            precision=precision,
            threads=self.threads,
            max_memory=self.max_memory,
            staged=True,
            learn=False,
            **options,
        )

    def request(self, place: int) -> Request:
        width, height = self.size or (None, None)
        prompt = self.prompts[place % len(self.prompts)]
        return Request(prompt, seed=place, width=width, height=height, steps=self.steps)

    @property
    def compared(self) -> int:
        """Pictures that are weighed and measured."""
        return min(self.pictures, _COMPARED)


def calibrate(
    model: str | Path | Found,
    *,
    prompts: Sequence[str] | None = None,
    pictures: int = PICTURES,
    engine: str | None = None,
    threads: int | None = None,
    max_memory: int | None = None,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    work_folder: Path | None = None,
    on_progress: OnProgress | None = None,
) -> CalibrationCard:
    """Make the card of a model, for its own autoencoder.

    prompts: None for the packaged ones. pictures: how many to draw and watch. engine, threads, max_memory: as `load`
    takes them; with "torch" the layers are watched there too, else in NumPy. size, steps: None for the model's own.
    work_folder: where what was found so far is kept after each picture, so that the same call goes on there after it
    was stopped; the file is gone at the end. on_progress: an exception raised in it ends the run.

    Raises as `nutshell.load` and `Model.draw` do.
    """
    if pictures < 1:
        raise UsageError(tr("calibrating takes one picture at least"), tr("leave --pictures out"))
    listed = tuple(packaged_prompts() if prompts is None else prompts)
    job = Job(model, listed, pictures, engine, threads, max_memory, size, steps, on_progress or _silently)
    with job.opened(precision=None) as whole:
        start = _start(job, whole)
    job = replace(job, engine=start.made.engine)
    work = take_up(path := _work_path(work_folder, start.subject), start.subject)
    _watch(job, work, path)
    with job.opened() as whole:
        found = find_scales(work, whole.parts)
    _weigh(job, work, path, found)
    parts = _card_parts(start, work, found)
    curve = _measure(job, work, path, parts)
    half = {start.half: _measure_half(job, work, path, parts, start.half, curve)} if start.half else {}
    job.on_progress(_MEASURING, _USUAL_POINTS, _USUAL_POINTS)
    if path is not None:
        path.unlink(missing_ok=True)
    return CalibrationCard(
        start.model, start.made, parts, _points(curve), {name: _points(points) for name, points in half.items()}
    )


def _points(curve: Mapping[int, float]) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(*point) for point in sorted(curve.items()))


@dataclass(frozen=True)
class _Start:
    """What is known before anything is drawn. operations: of one pass, by part and layer. prints: by stored part. half:
    the half precision that the engine would compute in beside eight bits; "" for none."""

    model: str
    made: Made
    half: str
    prints: Mapping[str, str]
    operations: Mapping[str, Mapping[str, int]]

    @property
    def subject(self) -> str:
        """A hash of everything that the card depends on."""
        made = sorted(asdict(self.made).items())
        facts = f"{_FORMAT} {joint(self.prints)} {made} {self.half} {_WATCHED} {_WEIGHED}"
        return hashlib.sha256(facts.encode()).hexdigest()


def _start(job: Job, model: Model) -> _Start:
    order = model.order(job.request(0))
    made = Made(
        prompts=prompts_hash(job.prompts),
        pictures=job.pictures,
        width=order.width,
        height=order.height,
        steps=order.run.steps,
        guidance=order.guidance,
        compared=job.compared,
        engine=model.plan(order, eight_bits=True).engine_name,
    )
    weights = {name: part.weights for name, part in model.parts.items()}
    sizes = sized_networks(
        model.facts.text,
        model.facts.unet,
        model.facts.vae,
        order.width,
        order.height,
        order.prompts.positive.ids.size,
        source=True,
    )
    operations = {name: layer_operations(network, weights[name]) for name, network in sizes.items()}
    prints = fingerprints(weights)
    for part in model.parts.values():
        part.release()
    return _Start(model.facts.name, made, _half(made.engine), prints, operations)


def _half(engine: str) -> str:
    """What stands beside eight bits where the engine chooses; "" where that is float32."""
    beside = arithmetic("int8", open_engine(engine).precisions)
    return beside if beside in HALVES else ""


def _work_path(folder: Path | None, subject: str) -> Path | None:
    return None if folder is None else folder / f"{subject[:32]}.work.npz"


def _watch(job: Job, work: Work, path: Path | None) -> None:
    """Draw the pictures that are not drawn yet, and watch some runs of each."""
    while len(work.pictures) < job.pictures:
        place, tape = len(work.pictures), Tape()
        done = place * _STEPS_OF_PROGRESS
        total = job.pictures * _STEPS_OF_PROGRESS

        def on_step(progress: Progress, done: int = done, total: int = total) -> None:
            job.on_progress(_DRAWING, done + _STEPS_OF_PROGRESS // 2 * progress.step // progress.total, total)

        records: dict[str, Record] = defaultdict(dict)
        around: dict[str, Around] = defaultdict(Around)

        def watched(
            network: Network, records: dict[str, Record] = records, around: dict[str, Around] = around
        ) -> Network:
            return observed(network, records[network.part], around[network.part])

        with job.opened(tap=tape) as model:
            (picture,) = model.draw(job.request(place), on_step)
            calls = tape.chosen(_WATCHED)
            ticks = _Ticks(job, _WATCHING, done + _STEPS_OF_PROGRESS // 2, total, len(calls))
            _replay(job, model, calls, watched, ticks)
        work.passes = work.passes or dict(tape.counts)
        work.pictures.append(np.asarray(picture.image))
        # Weighing takes some of the runs again.
        work.calls.append(_fewer(calls) if place < job.compared else [])
        work.add_records(records, around)
        work.save(path)


def _weigh(job: Job, work: Work, path: Path | None, found: Mapping[str, PartScales]) -> None:
    """Find what eight bits cost each layer's own output, in the pictures that are not weighed yet."""
    while work.sensed < job.compared:
        noises: dict[str, Noises] = {part: {} for part in found}

        def watched(network: Network, noises: dict[str, Noises] = noises) -> Network:
            mine = found[network.part]
            return sensed(network, mine.scales, noises[network.part], mine.migrations)

        calls, span = work.calls[work.sensed], _STEPS_OF_PROGRESS
        ticks = _Ticks(job, _WEIGHING, work.sensed * span, job.compared * span, len(calls), span)
        with job.opened() as model:
            _replay(job, model, calls, watched, ticks)
        work.add_noises(noises)
        work.sensed += 1
        work.save(path)


def _fewer(calls: Sequence[Call]) -> list[Call]:
    return [call for part in PARTS for call in spread([call for call in calls if call.part == part], _WEIGHED)]


class _Ticks:
    """Counts runs on a scale of progress: from `start`, over `length`, `count` of them."""

    def __init__(
        self, job: Job, what: Text, start: int, total: int, count: int, length: int = _STEPS_OF_PROGRESS // 2
    ) -> None:
        self._job = job
        self._what = what
        self._start = start
        self._total = total
        self._count = max(1, count)
        self._length = length
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        self._job.on_progress(self._what, self._start + self._length * self._done // self._count, self._total)


def _replay(
    job: Job, model: Model, calls: Sequence[Call], watched: Callable[[Network], Network], on_call: Callable[[], None]
) -> None:
    name = job.engine if (job.engine or "").startswith("torch") else "numpy"
    picture = next(call.inputs["picture"] for call in calls if call.part == "vae_encoder")
    networks = call_networks(model.facts, picture.shape[3], picture.shape[2], calls)
    replay(calls, networks, model.parts, open_engine(name or "numpy"), watched, on_call)


def _card_parts(start: _Start, work: Work, found: Mapping[str, PartScales]) -> dict[str, CardPart]:
    # Drawing over a picture runs the encoder once.
    share = shares(start.operations, {"vae_encoder": 1, **work.passes})
    return {
        part: CardPart(
            start.prints[STORED_PART.get(part, part)],
            {
                name: CardLayer(scale, round(work.noises[part][name].db, 3), round(share[part][name], 12))
                for name, scale in mine.scales.items()
            },
            mine.migrations,
            mine.attention,
        )
        for part, mine in found.items()
    }


def _measure(job: Job, work: Work, path: Path | None, parts: Mapping[str, CardPart]) -> dict[int, float]:
    """The budget curve: kept layers -> PSNR in dB of the first pictures in eight bits to those in float32."""
    layers = sum(len(part.layers) for part in parts.values())

    def measure(kept: int) -> float:
        return _measured(job, work, path, parts, "f32", work.points, kept)

    return measure_curve(layers, DEFAULT_DB, work.points, measure)


def _measure_half(
    job: Job, work: Work, path: Path | None, parts: Mapping[str, CardPart], half: str, curve: Mapping[int, float]
) -> dict[int, float]:
    """The same with half precision beside the eight bits, for the numbers that `curve` has."""
    known = work.half_points
    for kept in curve:
        if kept not in known:
            _measured(job, work, path, parts, half, known, kept)
    return known


def _measured(
    job: Job,
    work: Work,
    path: Path | None,
    parts: Mapping[str, CardPart],
    beside: str,
    points: dict[int, float],
    kept: int,
) -> float:
    """Measure one point, and keep it in `points`."""
    done = len(work.points) + len(work.half_points)
    job.on_progress(_MEASURING, done, max(_USUAL_POINTS, done + 1))
    points[kept] = round(decibels(255.0**2, _error(job, work.pictures, parts, kept, beside)), 3)
    work.save(path)
    return points[kept]


def _error(job: Job, wanted: Sequence[Array], parts: Mapping[str, CardPart], kept: int, beside: str) -> float:
    """Mean squared difference of pictures of 8 bits, over those that are compared."""
    largest, scales = largest_weight(probe(gpus=False).cpu), scales_without(parts, kept)

    def rewrite(network: Network) -> Network:
        mine = scales.get(network.part)
        if not mine:
            return network
        return quantized(network, mine, largest, migrations=parts[network.part].migrations)

    errors = []
    with job.opened(beside, rewrite=rewrite) as model:
        for place in range(job.compared):
            (picture,) = model.draw(job.request(place))
            difference = np.asarray(picture.image, np.float64) - wanted[place]
            errors.append(float(np.mean(difference**2)))
    return float(np.mean(errors))


def _silently(what: Text, done: int, total: int) -> None:
    """Tell nobody."""
