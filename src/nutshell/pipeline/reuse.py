"""Feature reuse between steps: which evaluations run the whole denoiser, and which its outermost layers alone.

DeepCache (Ma et al. 2023, arXiv:2312.00858), uniform: the whole network at every n-th evaluation; between, what its
inner layers made then is taken again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nutshell.engines import Session

F32 = npt.NDArray[np.float32]
Evaluate = Callable[..., F32]


@dataclass(frozen=True)
class Denoiser:
    """The compiled denoiser. outer: its outermost layers, None where nothing is reused. every: as `Savings.reuse`."""

    whole: Session
    outer: Session | None = None
    every: int = 1

    def streams(self) -> tuple[Evaluate, Evaluate]:
        """For one picture: the network for passes with the prompt, and for those without it.

        Each keeps a feature of its own. The first leads: the second, which guidance asks after it, runs the whole
        network when the first did, so that both features are of one step; or when it has none yet.
        """
        if self.outer is None:
            return self.whole, self.whole
        pace = _Pace(self.every)
        return _Stream(self.whole, self.outer, pace, leads=True), _Stream(self.whole, self.outer, pace, leads=False)


@dataclass
class _Pace:
    every: int
    evaluations: int = 0
    whole: bool = True

    def next(self) -> None:
        self.whole = self.evaluations % self.every == 0
        self.evaluations += 1


@dataclass
class _Stream:
    """One prompt's passes. deep: the feature of its last whole one."""

    whole: Session
    outer: Session
    pace: _Pace
    leads: bool
    deep: F32 | None = None

    def __call__(self, **inputs: F32) -> F32:
        if self.leads:
            self.pace.next()
        if self.pace.whole or self.deep is None:
            output, self.deep = self.whole.run(**inputs)
            return output
        return self.outer(deep=self.deep, **inputs)
