"""What is measured: each file wraps one way to run a model, and is imported only in its own process."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

PROMPT = "a lighthouse at dusk"
SEED = 1
SCHEDULER = "euler"


@dataclass(frozen=True)
class Job:
    """One process's work. engine: of Nutshell. folder: the model in diffusers' layout. side: pixels."""

    peer: str
    engine: str
    precision: str
    folder: str
    side: int
    threads: int


class Peer(Protocol):
    """One way to run a model. Nothing is loaded before `load_and_step`, or before `picture`."""

    def load_and_step(self) -> None:
        """Load what a step takes, from the files on disk, and do the first step."""
        ...

    def step(self) -> float:
        """Seconds of one denoising step of batch 1."""
        ...

    def picture(self, steps: int) -> Any:
        """Load everything, draw one picture without guidance, return it as a PIL image."""
        ...


def open_peer(job: Job) -> Peer:
    """The peer that a job names."""
    peer: Peer = import_module(f"bench.peers.{job.peer}").Runner(job)
    return peer


def export_folder(folder: Path, precision: str = "") -> Path:
    """Where a model's OpenVINO export lies, for openvino-genai. precision: "int8" for NNCF's."""
    return folder.with_name(folder.name + "-openvino" + ("-int8" if precision == "int8" else ""))


def full_sibling(folder: Path) -> Path:
    """The same model with the full autoencoder, of one that was built with the tiny one."""
    return folder.with_name(folder.name.removesuffix("-tiny") + "-kl")
