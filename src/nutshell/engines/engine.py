"""What an engine is: something that turns a network and its weights into a callable session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nutshell.networks.ops import Network
from nutshell.weights import Weights

Array = npt.NDArray[Any]


class Session(Protocol):
    """A compiled network. Call it with its named inputs as arrays; float inputs are float32."""

    def __call__(self, **inputs: Array) -> npt.NDArray[np.float32]:
        """The first output."""
        ...

    def run(self, **inputs: Array) -> tuple[npt.NDArray[np.float32], ...]:
        """Every output, in the order of `Network.outputs`; copies, which the caller may keep."""
        ...

    def close(self) -> None:
        """Free what it holds. Calling it again does nothing."""
        ...


class Engine(Protocol):
    """A way to run networks. Making one imports its library, or raises EngineUnavailable."""

    name: str

    @property
    def precisions(self) -> Sequence[str]:
        """The arithmetic it can use here, best first: "f32", "bf16", "f16"."""
        ...

    def compile(
        self, network: Network, weights: Weights, precision: str = "f32", threads: int | None = None
    ) -> Session:
        """Build and compile `network` over `weights`.

        The session does not need the caller to keep `weights`. `threads`: None for the engine's choice.
        Raises WeightsMismatch if the weights do not fit, EngineError if the engine refuses the graph.
        """
        ...
