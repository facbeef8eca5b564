"""Every error that a user may meet, drawn as one tree.

    NutshellError
    ├── UsageError            a request that cannot be met as written
    ├── ModelError            something about a model's files
    │   ├── ModelNotFound     no such name, folder or file
    │   ├── UnsupportedModel  a real model, of a kind that cannot run yet
    │   ├── PickleRefused     a .ckpt/.bin/.pt file: loading one runs code
    │   ├── CorruptFile       truncated, damaged or hostile
    │   └── WeightsMismatch   tensors missing, unused or of another shape
    ├── EngineError           an engine is missing or failed
    │   └── EngineUnavailable not installed, or not for this machine
    ├── NotEnoughMemory       what is needed and what is free
    ├── MemoryPressure        it was free, and then the machine did little else than move pages
    ├── OutputError           a file could not be written
    │   └── StoreError        ... into the store of models: no room, read-only, a disk that fails
    ├── FetchError            a model could not be fetched: network, hub, wrong content
    │   └── Offline           a connection was forbidden by the setting `offline`
    └── Cancelled             the user (or a callback) stopped the run

Each carries a `hint` (what to do next) and an `exit_code` for the command line. The message says what
happened and why; both are one line each, and sentences that can be translated (`nutshell.language`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nutshell.language import Text, join, tr

Shape = tuple[int, ...]


NO_HINT = tr("")


class NutshellError(Exception):
    """Base of all. `error.message` is what happened, `error.hint` the next step (may be empty)."""

    exit_code = 1

    def __init__(self, message: Text, hint: Text = NO_HINT) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(NutshellError):
    """The request itself is wrong: an unknown sampler, a size that is not a multiple of 8.

    field: what of the request, as `nutshell.pipeline.Request` calls it; empty where it is no single one.
    """

    exit_code = 2

    def __init__(self, message: Text, hint: Text = NO_HINT, *, field: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class ModelError(NutshellError):
    """Something about a model's files."""

    exit_code = 3


class ModelNotFound(ModelError):
    """No model of that name, folder or file."""


class UnsupportedModel(ModelError):
    """A model whose architecture this version does not run; the message names the feature."""


class PickleRefused(ModelError):
    """A pickle checkpoint. Unpickling runs code that the file brings, so it is never loaded."""


class CorruptFile(ModelError):
    """A file that is truncated, damaged, or not what its name says."""


MISMATCH_HINT = tr("the file may be of another architecture, or incomplete: download it again")


class WeightsMismatch(ModelError):
    """Tensors that do not fit the network.

    `missing`: name -> wanted shape; `unused`: names; `misshapen`: name -> (wanted, found).
    """

    def __init__(
        self,
        part: str,
        missing: Mapping[str, Shape] | None = None,
        unused: Sequence[str] = (),
        misshapen: Mapping[str, tuple[Shape, Shape]] | None = None,
        hint: Text = MISMATCH_HINT,
    ) -> None:
        self.part = part
        self.missing = dict(missing or {})
        self.unused = tuple(unused)
        self.misshapen = dict(misshapen or {})
        parts = []
        if self.missing:
            rows: list[str] = [f"{name} {_dims(shape)}" for name, shape in self.missing.items()]
            parts.append(tr("{count} missing ({names})", count=len(rows), names=_listed(rows)))
        if self.misshapen:
            rows = [
                tr("{name} is {found}, not {want}", name=name, found=_dims(found), want=_dims(want))
                for name, (want, found) in self.misshapen.items()
            ]
            parts.append(tr("{count} of the wrong shape ({names})", count=len(rows), names=_listed(rows)))
        if self.unused:
            parts.append(tr("{count} unused ({names})", count=len(self.unused), names=_listed(self.unused)))
        problems = join("; ", parts)
        super().__init__(
            tr("the weights of {part} do not fit its network: {problems}", part=part, problems=problems), hint
        )


class EngineError(NutshellError):
    """An engine failed while it built or ran a network."""

    exit_code = 4


class EngineUnavailable(EngineError):
    """The engine is not installed, or has nothing to run on here."""


class NotEnoughMemory(NutshellError):
    """What a run needs, and what is free or allowed, in bytes."""

    exit_code = 5

    def __init__(self, need_bytes: int, free_bytes: int, hint: Text = NO_HINT) -> None:
        self.need_bytes = need_bytes
        self.free_bytes = free_bytes
        super().__init__(
            tr(
                "this needs about {need:.0f} MB of memory and only {free:.0f} MB may be used",
                need=need_bytes / 1e6,
                free=free_bytes / 1e6,
            ),
            hint,
        )


class MemoryPressure(NutshellError):
    """Memory became so short while something was loaded that it was given up."""

    exit_code = 5


class OutputError(NutshellError):
    """A file could not be written: no room, no permission, no such folder."""

    exit_code = 6


class StoreError(OutputError):
    """The store of models could not be written: no room, no permission, a disk that fails."""


class FetchError(NutshellError):
    """A model could not be fetched.

    transient: the same request may well succeed later. wait_seconds: how long the server asks to wait, None
    where it does not say.
    """

    exit_code = 7

    def __init__(
        self, message: Text, hint: Text = NO_HINT, *, transient: bool = False, wait_seconds: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.transient = transient
        self.wait_seconds = wait_seconds


class Offline(FetchError):
    """The setting `offline` holds, and something would have connected."""


class Cancelled(NutshellError):
    """The run was stopped on purpose; nothing was written."""

    exit_code = 130


def os_reason(error: Exception) -> Text:
    """What the system says of a failure, such as "Permission denied" (strerror(3)), without its number.

    A library's error may carry such words too: "[Errno -2] Name or service not known".
    """
    said = error.strerror if isinstance(error, OSError) else None
    return tr(said or re.sub(r"^\[Errno -?\d+\] ", "", str(error)))


# What systems say most, for the catalogues.
_SAID = (
    tr("Permission denied"),
    tr("No such file or directory"),
    tr("Is a directory"),
    tr("Not a directory"),
    tr("Input/output error"),
    tr("No space left on device"),
    tr("Read-only file system"),
    tr("Operation not permitted"),
    tr("File name too long"),
    tr("Too many open files"),
    tr("Connection refused"),
    tr("Connection timed out"),
    tr("Network is unreachable"),
    tr("Address already in use"),
    tr("Broken pipe"),
)


def _dims(shape: Shape) -> str:
    return "x".join(map(str, shape)) if shape else "scalar"


def _listed(rows: Sequence[str], most: int = 5) -> Text:
    shown = join(", ", rows[:most])
    return tr("{shown} and {count} more", shown=shown, count=len(rows) - most) if len(rows) > most else shown
