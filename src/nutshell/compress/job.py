"""Writing a smaller model: a folder that appears whole or not at all, and goes on where it was broken off.

What is being written lies beside its place, in `.NAME.part`, with a folder `.state` of journals; when all is there it
takes its name in one step. Run again with the same model and wishes, what was finished is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nutshell import __version__
from nutshell.compress.history import NAME, Step, history_bytes, read_history, readme
from nutshell.compress.original import STEMS, Original, Stored
from nutshell.compress.tensor_file import Made, Piece, Row, most_bytes, write_tensors
from nutshell.errors import OutputError, UsageError
from nutshell.files import output_error, sync_folder, write_bytes
from nutshell.language import Text, tr
from nutshell.store.disk import free_bytes
from nutshell.store.hashing import sha256_of
from nutshell.tokens.bundled import write_bundled

Json = dict[str, Any]
OnProgress = Callable[[Text, int, int], None]
"""Told what is done, how many bytes of it are done, and how many there are."""

_STATE = ".state"
_RELEASE_BYTES = 64 << 20


@dataclass(frozen=True)
class PartPlan:
    """How one part is written: its config.json, and its tensors, made one after another."""

    config: Mapping[str, Any]
    pieces: Sequence[Piece]


class Method(Protocol):
    """One way to make a model smaller."""

    action: str

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What was asked for; with the original, it decides every byte of the weights."""
        ...

    @property
    def only_nutshell(self) -> str:
        """Why diffusers cannot open the result, in English; "" if it can."""
        ...

    @property
    def parts(self) -> Sequence[str]:
        """The parts that it changes."""
        ...

    def plan(self, part: str, config: Json, stored: Stored) -> PartPlan:
        """What to write of a part."""
        ...

    def results(self, rows: Mapping[str, Sequence[Row]]) -> Mapping[str, Any]:
        """Figures for the history, from what was written of each part."""
        ...


@dataclass(frozen=True)
class Written:
    """What was made. parameters, disk_bytes: (before, after), of the parts' weights. flags: of `Original`."""

    path: Path
    steps: tuple[Step, ...]
    parameters: tuple[int, int]
    disk_bytes: tuple[int, int]
    flags: str = ""


@dataclass
class _Sums:
    parameters: list[int] = field(default_factory=lambda: [0, 0])
    disk_bytes: list[int] = field(default_factory=lambda: [0, 0])


def write_model(original: Original, method: Method, output: Path, on_progress: OnProgress) -> Written:
    """Make `output` from `original`.

    Raises UsageError where something is there already, OutputError for a disk that is full, read-only or fails, and
    what the method raises.
    """
    output = output.absolute()
    refuse_existing(output)
    work = output.parent / f".{output.name}.part"
    started = _start(work, original, method)
    rows: dict[str, list[Row]] = {}
    sums = _Sums()
    with contextlib.ExitStack() as stack:
        with _clean(work):
            plans = {part: _plan(original, method, part, stack) for part in original.parts}
            _check_room(work, plans)
        for part, (stored, plan) in plans.items():
            sums.parameters[0] += sum(tensor.size for tensor in stored.tensors.values())
            sums.disk_bytes[0] += sum(tensor.nbytes for tensor in stored.tensors.values())
            _write_json(work / part / "config.json", plan.config)
            watch = _Watch(part, plan.pieces, stored, on_progress)
            rows[part] = write_tensors(_weights(work, part), work / _STATE / f"{part}.jsonl", plan.pieces, watch)
            sums.parameters[1] += _parameters(rows[part])
            sums.disk_bytes[1] += sum(row.nbytes for row in rows[part])
    steps = _finish(work, output, original, method, rows, started, on_progress)
    return Written(output, steps, _pair(sums.parameters), _pair(sums.disk_bytes), original.flags)


def copied(stored: Stored) -> list[Piece]:
    """Every tensor as it is."""
    return [Piece(tensor.name, tensor.nbytes, partial(Made.of, tensor)) for tensor in stored.tensors.values()]


def _pair(sums: list[int]) -> tuple[int, int]:
    return sums[0], sums[1]


class _Watch:
    """Tells progress, and lets go of pages of the original that were read."""

    def __init__(self, part: str, pieces: Sequence[Piece], stored: Stored, on_progress: OnProgress) -> None:
        self._title = tr("writing {part}", part=part)
        self._total = sum(piece.nbytes for piece in pieces)
        self._stored, self._on_progress = stored, on_progress
        self._done = self._held = 0

    def __call__(self, piece: Piece) -> None:
        self._done += piece.nbytes
        self._held += piece.nbytes
        if self._held > _RELEASE_BYTES:
            self._stored.release()
            self._held = 0
        self._on_progress(self._title, self._done, self._total)


def _plan(
    original: Original, method: Method, part: str, stack: contextlib.ExitStack
) -> tuple[Stored, PartPlan]:  # fmt: skip
    opened: AbstractContextManager[Stored] = original.open(part)
    stored, config = stack.enter_context(opened), original.config(part)
    if part not in method.parts:
        return stored, PartPlan(config, copied(stored))
    plan = method.plan(part, config, stored)
    stored.release()
    return stored, plan


def refuse_existing(output: Path) -> None:
    """Raise UsageError where something lies in the way; an empty folder does not."""
    try:
        if output.is_dir() and not any(output.iterdir()):
            return
    except OSError as error:
        raise output_error(output, error) from error
    if output.exists():
        raise UsageError(
            tr("{path} exists already", path=output), tr("name another folder with --output, or move it away")
        )


def _start(work: Path, original: Original, method: Method) -> Json:
    """Make the working folder, or take up the one that is there if it is of the same job."""
    job = _job_id(original, method)
    state = work / _STATE / "job.json"
    try:
        with contextlib.suppress(OSError, ValueError):
            known: Json = json.loads(state.read_bytes())
            if known.get("job") == job:
                return known
        if work.exists():
            shutil.rmtree(work)
        (work / _STATE).mkdir(parents=True)
    except OSError as error:
        raise output_error(work, error) from error
    started = {"job": job, "date": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    write_bytes(state, json.dumps(started).encode())
    return started


def _job_id(original: Original, method: Method) -> str:
    """Of the files as they lie there, and of all that was asked for."""
    files = []
    for name, path in original.files().items():
        status = path.stat()
        files.append([name, str(path.resolve()), status.st_size, status.st_mtime_ns])
    content = json.dumps([__version__, method.action, dict(method.parameters), files], default=str)
    return hashlib.sha256(content.encode()).hexdigest()


@contextlib.contextmanager
def _clean(work: Path) -> Iterator[None]:
    """If the block fails before anything of worth was written, the working folder goes away again."""
    try:
        yield
    except BaseException:
        if not any((work / _STATE).glob("*.jsonl")):
            shutil.rmtree(work, ignore_errors=True)
        raise


def _check_room(work: Path, plans: Mapping[str, tuple[Stored, PartPlan]]) -> None:
    """Raise OutputError where the disk has no room for what is still to be written."""
    needed = sum(most_bytes(plan.pieces) for _, plan in plans.values())
    there = sum(path.stat().st_size for part in plans if (path := _weights(work, part)).exists())
    free = free_bytes(work)
    if free is not None and free < needed - there:
        raise OutputError(
            tr(
                "the model needs up to {need:.0f} MB of disk, and {free:.0f} MB are free in {folder}",
                need=(needed - there) / 1e6,
                free=free / 1e6,
                folder=work.parent,
            ),
            tr("free some space, or write to another disk with --output"),
        )


def _finish(
    work: Path, output: Path, original: Original, method: Method, rows: Mapping[str, Sequence[Row]], started: Json,
    on_progress: OnProgress,
) -> tuple[Step, ...]:  # fmt: skip
    """Hash what was read and written, write what stands beside the weights, and give the folder its name."""
    source_files = original.files()
    files = {f"{part}/{_weights(work, part).name}": _weights(work, part) for part in rows}
    total = sum(path.stat().st_size for path in (*source_files.values(), *files.values()))
    hashed = _Hashing(total, on_progress)
    step = Step(
        method.action,
        method.parameters,
        original.name,
        hashed.all(source_files),
        hashed.all(files),
        method.results(rows),
        started["date"],
        __version__,
        method.only_nutshell,
    )
    steps = (*read_history(original.path), step)
    vae = json.loads((work / "vae" / "config.json").read_bytes())
    _write_json(work / "scheduler" / "scheduler_config.json", original.scheduler())
    _write_tokenizer(work / "tokenizer", original)
    write_bytes(work / NAME, history_bytes(steps))
    write_bytes(work / "README.md", readme(output.name, original.licence, steps, original.flags).encode())
    try:
        for path in original.licence_files():
            shutil.copyfile(path, work / path.name)
        # Last, so that a folder that is not whole is not taken for a model.
        _write_json(work / "model_index.json", original.index(vae.get("_class_name", "AutoencoderKL")))
        shutil.rmtree(work / _STATE)
        if output.exists():
            output.rmdir()
        os.replace(work, output)
    except OSError as error:
        raise output_error(output, error) from error
    sync_folder(output.parent)
    return steps


class _Hashing:
    """SHA-256 of several files, told as one."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def all(self, files: Mapping[str, Path]) -> dict[str, str]:
        return {name: sha256_of(path, self._more) for name, path in files.items()}

    def _more(self, count: int) -> None:
        self._done += count
        self._on_progress(tr("hashing"), self._done, self._total)


def _write_tokenizer(folder: Path, original: Original) -> None:
    own = original.checkpoint.tokenizer_folder
    try:
        folder.mkdir(exist_ok=True)
        if own is None:
            text = original.config("text_encoder")
            write_bundled(folder, 0 if text.get("hidden_act") == "gelu" else None)
            return
        for path in _plain_files(own):
            shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise output_error(folder, error) from error


def _plain_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file())


def _weights(work: Path, part: str) -> Path:
    return work / part / f"{STEMS[part]}.safetensors"


def _parameters(rows: Sequence[Row]) -> int:
    """Values that were written, scales not counted, two to a byte of four bits."""
    count = 0
    for row in rows:
        for name, kind, shape, _ in row.tensors:
            size = 1
            for length in shape:
                size *= length
            if not name.endswith(".scale"):
                count += 2 * size if kind == "U8" else size
    return count


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
    write_bytes(path, json.dumps(content, indent=2).encode() + b"\n")
