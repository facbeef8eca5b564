"""What calibrating has found out so far, in one file, so that it goes on where it was stopped."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.compress.calls import Call
from nutshell.files import make_folder, write_bytes
from nutshell.quantization import Around, AttentionSeen, Histogram, Noise, Noises, NormSeen, Record, Seen

FORMAT = 2

# What reading a zip file of arrays raises where its bytes are not what was written.
_DAMAGED = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, MemoryError),
)
Array = npt.NDArray[Any]
_OF_A_NORM = ("low", "high", "rows", "stands")


@dataclass
class Work:
    """subject: everything that the result depends on; work for another one is not taken up.

    pictures: drawn in float32, (height, width, 3) of 8 bits; calls: the kept runs of each. records, around, noises: by
    part, of the first `observed` and `sensed` pictures. passes: by part, runs for one picture. points: kept -> dB with
    float32 beside the eight bits; half_points: with half precision.
    """

    subject: str
    pictures: list[Array] = field(default_factory=list)
    calls: list[list[Call]] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    around: dict[str, Around] = field(default_factory=dict)
    noises: dict[str, Noises] = field(default_factory=dict)
    passes: dict[str, int] = field(default_factory=dict)
    sensed: int = 0
    points: dict[int, float] = field(default_factory=dict)
    half_points: dict[int, float] = field(default_factory=dict)

    def add_records(self, records: Mapping[str, Record], around: Mapping[str, Around]) -> None:
        """Take in what was seen of one more picture."""
        for part, seen_around in around.items():
            self.around.setdefault(part, Around()).merge(seen_around)
        for part, record in records.items():
            known = self.records.setdefault(part, {})
            for name, seen in record.items():
                known.setdefault(name, Seen(seen.weight)).inputs.merge(seen.inputs)

    def add_noises(self, noises: Mapping[str, Noises]) -> None:
        """Take in what eight bits cost one more picture's layers."""
        for part, mine in noises.items():
            known = self.noises.setdefault(part, {})
            for name, noise in mine.items():
                total = known.setdefault(name, Noise())
                total.signal += noise.signal
                total.error += noise.error

    def save(self, path: Path | None) -> None:
        """Write it whole or not at all; nothing where there is no place. Raises OutputError."""
        if path is None:
            return
        arrays = dict(_arrays(self))
        packed = io.BytesIO()
        arrays["meta"] = np.frombuffer(json.dumps(_meta(self)).encode(), np.uint8)
        np.savez_compressed(packed, allow_pickle=False, **arrays)
        make_folder(path.parent)
        write_bytes(path, packed.getvalue())


def take_up(path: Path | None, subject: str) -> Work:
    """The work that was begun on `subject`; a new one where there is none, or only a damaged file."""
    if path is not None:
        with contextlib.suppress(*_DAMAGED):
            with np.load(path, allow_pickle=False) as stored:
                work = _read(json.loads(stored["meta"].tobytes()), stored)
            if work.subject == subject:
                return work
    return Work(subject)


def _meta(work: Work) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "subject": work.subject,
        "pictures": len(work.pictures),
        "calls": [[[call.part, *call.inputs] for call in calls] for calls in work.calls],
        "records": {
            part: [[name, list(seen.weight), *_histogram_meta(seen.inputs)] for name, seen in record.items()]
            for part, record in work.records.items()
        },
        "norms": {
            part: [[name, seen.linears, seen.storable] for name, seen in around.norms.items()]
            for part, around in work.around.items()
        },
        "attention": {
            part: [
                [name, _histogram_meta(seen.query), _histogram_meta(seen.key)]
                for name, seen in around.attention.items()
            ]
            for part, around in work.around.items()
        },
        "noises": {
            part: {name: [noise.signal, noise.error] for name, noise in noises.items()}
            for part, noises in work.noises.items()
        },
        "passes": work.passes,
        "sensed": work.sensed,
        "points": list(work.points.items()),
        "half_points": list(work.half_points.items()),
    }


def _histogram_meta(inputs: Histogram) -> list[Any]:
    return [inputs.minimum, inputs.maximum, inputs.power, inputs.first]


def _arrays(work: Work) -> Iterator[tuple[str, Array]]:
    for place, picture in enumerate(work.pictures):
        yield f"picture {place}", picture
    for place, calls in enumerate(work.calls):
        for number, call in enumerate(calls):
            for name, value in call.inputs.items():
                yield f"call {place} {number} {name}", value
    for part, record in work.records.items():
        for number, seen in enumerate(record.values()):
            yield f"counts {part} {number}", seen.inputs.counts
    for part, around in work.around.items():
        for number, norm in enumerate(around.norms.values()):
            for name in _OF_A_NORM:
                yield f"norm {part} {number} {name}", getattr(norm, name)
        for number, attention in enumerate(around.attention.values()):
            yield f"query {part} {number}", attention.query.counts
            yield f"key {part} {number}", attention.key.counts


def _read(meta: dict[str, Any], stored: Mapping[str, Array]) -> Work:
    if meta["format"] != FORMAT:
        raise ValueError("another format")
    work = Work(meta["subject"], passes=meta["passes"], sensed=meta["sensed"])
    work.pictures = [stored[f"picture {place}"] for place in range(meta["pictures"])]
    work.calls = [
        [
            Call(part, {name: stored[f"call {place} {number} {name}"] for name in names})
            for number, (part, *names) in enumerate(calls)
        ]
        for place, calls in enumerate(meta["calls"])
    ]
    for part, rows in meta["records"].items():
        work.records[part] = {
            name: Seen(tuple(shape), Histogram(low, high, power, first, stored[f"counts {part} {number}"]))
            for number, (name, shape, low, high, power, first) in enumerate(rows)
        }
    for part in meta["norms"]:
        work.around[part] = _read_around(meta, stored, part)
    for part, noises in meta["noises"].items():
        work.noises[part] = {name: Noise(*sums) for name, sums in noises.items()}
    work.points = {int(kept): float(db) for kept, db in meta["points"]}
    work.half_points = {int(kept): float(db) for kept, db in meta["half_points"]}
    return work


def _histogram(meta: list[Any], counts: Array) -> Histogram:
    low, high, power, first = meta
    return Histogram(low, high, power, first, counts)


def _read_around(meta: dict[str, Any], stored: Mapping[str, Array], part: str) -> Around:
    norms = {
        name: NormSeen(
            list(linears),
            **{array: stored[f"norm {part} {number} {array}"] for array in _OF_A_NORM},
            storable=storable,
        )
        for number, (name, linears, storable) in enumerate(meta["norms"][part])
    }
    attention = {
        name: AttentionSeen(
            _histogram(query, stored[f"query {part} {number}"]), _histogram(key, stored[f"key {part} {number}"])
        )
        for number, (name, query, key) in enumerate(meta["attention"][part])
    }
    return Around(norms, attention)
