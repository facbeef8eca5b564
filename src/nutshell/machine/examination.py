"""A machine with what only the doctor asks: engines, network, and the folders that matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nutshell.language import Text
from nutshell.machine.facts import Machine

_NO_REASON = Text("")


@dataclass(frozen=True)
class EngineReport:
    """One engine's library, asked in a process of its own.

    installed: whether the library is there. error: why it cannot be used, a Text or the library's own words; "" if it
    can. devices: what it computes on, in its own words ("CPU", "GPU.0", "CUDAExecutionProvider", "cuda:0").
    architectures: of NVIDIA cards, as PyTorch lists those it was built for ("sm_75"); empty if it does not say.
    seconds: how long the answer took.
    """

    name: str
    installed: bool
    version: str = ""
    devices: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class HubReport:
    """One server of models. reason: of its silence, a sentence. clock_ahead_seconds: our clock
    less its own."""

    name: str
    url: str
    answers: bool
    seconds: float = 0.0
    reason: Text = _NO_REASON
    clock_ahead_seconds: float | None = None


@dataclass(frozen=True)
class FolderReport:
    """A folder that the program writes to. existing: the nearest folder above it that is there."""

    role: Literal["models", "temporary"]
    path: str
    existing: str
    writable: bool
    total_bytes: int | None = None
    free_bytes: int | None = None
    read_bytes_per_second: float | None = None


@dataclass(frozen=True)
class Examination:
    """All that the rules look at. hubs: None if nobody asked. unknown: sections that failed, and why."""

    machine: Machine
    engines: tuple[EngineReport, ...] = ()
    folders: tuple[FolderReport, ...] = ()
    hubs: tuple[HubReport, ...] | None = None

    def engine(self, name: str) -> EngineReport | None:
        """The report of one engine, if it was asked."""
        return next((engine for engine in self.engines if engine.name == name), None)
